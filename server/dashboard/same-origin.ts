/**
 * Whether a form was sent by one of our own pages. Browsers say so themselves: `Sec-Fetch-Site` where the connection is
 * trustworthy, `Origin` everywhere. A request with neither comes from no browser, and programs use the API.
 */
export function isSameOrigin(headers: Headers): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = headers.get("origin");
  const host = headers.get("host");
  if (origin === null || host === null || !URL.canParse(origin)) return false;
  return new URL(origin).host === host.toLowerCase();
}
