import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  parsePeers,
  parseRoutes4,
  parseRoutes6,
  readSelf,
  SshSessions,
} from "../../../agent/firewall/self-addresses.ts";
import { formatAddress } from "../../../shared/address.ts";

const route4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask	MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
`;
const route6 = `00000000000000000000000000000000 00 00000000000000000000000000000000 00 20010db8000000000000000000000001 00000400 00000001 00000000 00000003 eth0
20010db8000000000000000000000000 20 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0
`;
const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const tcp4 = `${head}   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0102 0:0 garbage
   2: 010200C0:0016 096433C6:D431 01 00000000:00000000 02:00000000 00000000     0        0 2
   3: 010200C0:0050 0A6433C6:D431 01 00000000:00000000 02:00000000 00000000     0        0 3
   4: 010200C0:0016 0B6433C6:D431 06 00000000:00000000 02:00000000 00000000     0        0 4
`;
const tcp6 = `${head}   0: B80D0120000000000000000001000000:0016 B80D0120000000000000000009000000:D431 01 0 0 0 0 0 0
   1: 0000000000000000FFFF0000010200C0:0016 0000000000000000FFFF00000C6433C6:D431 01 0 0 0 0 0 0
`;

test("gateways are read from the kernel's routes", () => {
  assert.deepEqual(parseRoutes4(route4).map(formatAddress), ["192.0.2.1"]);
  assert.deepEqual(parseRoutes6(route6).map(formatAddress), ["2001:db8::1"]);
  assert.deepEqual([...parseRoutes4("nonsense\n\n"), ...parseRoutes6("x y z")], []);
});

test("only established sessions to the SSH port count, IPv4 inside IPv6 included", () => {
  assert.deepEqual(
    parsePeers(tcp4, 22).map(({ address }) => formatAddress(address)),
    ["198.51.100.9"],
  );
  assert.deepEqual(
    parsePeers(tcp6, 22).map(({ address }) => formatAddress(address)),
    ["2001:db8::9", "198.51.100.12"],
  );
});

test("own addresses, gateways, resolvers and time servers are found, and missing files are no mistake", async () => {
  const folder = await mkdtemp(join(tmpdir(), "f2b-self-"));
  try {
    const file = async (name: string, text: string) => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    const files = {
      route4: await file("route", route4),
      route6: join(folder, "missing"),
      tcp4: await file("tcp", tcp4),
      tcp6: join(folder, "missing"),
      resolver: await file(
        "resolv.conf",
        "# comment\nnameserver 198.51.100.53\nnameserver fe80::1%eth0\nsearch example.org\n",
      ),
      chrony: await file("chrony.conf", "pool ntp.example.org iburst\nserver 198.51.100.123 iburst\n"),
      timesyncd: await file("timesyncd.conf", "[Time]\nNTP=198.51.100.124 2001:db8::7b\n"),
    };
    const self = await readSelf(files);
    for (const [net, why] of [
      ["192.0.2.1", "gateway"],
      ["198.51.100.53", "resolver"],
      ["fe80::1", "resolver"],
      ["198.51.100.123", "time server"],
      ["198.51.100.124", "time server"],
      ["2001:db8::7b", "time server"],
    ]) {
      assert(
        self.some((each) => each.net === net && each.why === why),
        `${net} ${why}`,
      );
    }
    const own = Object.values(networkInterfaces()).flat().length;
    assert.equal(self.filter(({ why }) => why === "own address").length, own);
    const sessions = new SshSessions(22, files);
    assert.deepEqual(await sessions.read(0), []);
    assert.deepEqual(await sessions.read(150_000), [], "an attacker who is still trying has a connection too");
    assert.deepEqual(await sessions.read(150_001), [{ net: "198.51.100.9", why: "holds an SSH session" }]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
