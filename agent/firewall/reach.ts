import { connect } from "node:net";

/** A working connection is made in far less; a cut one hangs for minutes. */
const answerMs = 4000;

/** Whether every place (`host:port`, `[2001:db8::1]:22`) takes a TCP connection now; true when there is none to ask. */
export async function reachPlaces(places: readonly string[]): Promise<boolean> {
  const reached = await Promise.all(places.map(reachPlace));
  return reached.every(Boolean);
}

function reachPlace(place: string): Promise<boolean> {
  const at = place.lastIndexOf(":");
  const host = place.slice(0, at).replace(/^\[|\]$/g, "");
  const port = Number(place.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: answerMs });
    const end = (reached: boolean) => {
      socket.destroy();
      resolve(reached);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.on("error", () => end(false));
  });
}
