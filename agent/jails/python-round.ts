/** Python's `round`: halves go to the even neighbour. fail2ban's counts and formulas depend on it. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2 === 0 ? 0 : 1) : Math.round(value);
}
