// Runs inside a test's namespace: JSON requests on standard input, one JSON answer each. Ends when the input ends.
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

const answerMs = Number(process.argv[2]);
const sockets = new Map();

const requests = createInterface({ input: process.stdin });
requests.on("line", async (line) => {
  const request = JSON.parse(line);
  process.stdout.write(`${JSON.stringify([request.id, await handle(request)])}\n`);
});
requests.on("close", () => process.exit(0));

async function handle(request) {
  if (request.verb === "serve") return serve(request.ports);
  if (request.verb === "echo") return echo(sockets.get(request.connection));
  const socket = connect({ host: request.to, port: request.port, localAddress: request.from });
  socket.on("error", () => undefined);
  const outcome = await echo(socket);
  if (request.verb === "connect" && outcome === "answered") sockets.set(request.id, socket);
  else socket.destroy();
  return outcome;
}

async function serve(ports) {
  await Promise.all(
    ports.map(
      (port) =>
        new Promise((resolve) => {
          const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
          server.listen(port, "::", resolve);
        }),
    ),
  );
  return "answered";
}

function echo(socket) {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve("refused");
    const done = (outcome) => {
      clearTimeout(timer);
      socket.off("data", answered);
      socket.off("close", refused);
      resolve(outcome);
    };
    const answered = () => done("answered");
    const refused = () => done("refused");
    const timer = setTimeout(() => done("silent"), answerMs);
    socket.on("data", answered);
    socket.on("close", refused);
    socket.write("ping\n");
  });
}
