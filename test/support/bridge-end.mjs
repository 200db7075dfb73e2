// Runs inside a namespace: connections to a unix socket go on to a TCP address there. Ends when its input ends.
import { connect, createServer } from "node:net";

const [, , socketPath, host, port] = process.argv;
process.stdin.resume().on("end", () => process.exit(0));
createServer((outer) => {
  const inner = connect(Number(port), host);
  outer.pipe(inner).pipe(outer);
  outer.on("error", () => inner.destroy());
  inner.on("error", () => outer.destroy());
}).listen(socketPath);
