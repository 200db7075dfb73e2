import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseRoutes4, parseRoutes6, readSelf } from "../../../agent/firewall/self-addresses.ts";
import { formatAddress } from "../../../shared/address.ts";

const route4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask	MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
`;
const route6 = `00000000000000000000000000000000 00 00000000000000000000000000000000 00 20010db8000000000000000000000001 00000400 00000001 00000000 00000003 eth0
20010db8000000000000000000000000 20 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0
`;
test("gateways are read from the kernel's routes", () => {
  assert.deepEqual(parseRoutes4(route4).map(formatAddress), ["192.0.2.1"]);
  assert.deepEqual(parseRoutes6(route6).map(formatAddress), ["2001:db8::1"]);
  assert.deepEqual([...parseRoutes4("nonsense\n\n"), ...parseRoutes6("x y z")], []);
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
  } finally {
    await rm(folder, { recursive: true });
  }
});
