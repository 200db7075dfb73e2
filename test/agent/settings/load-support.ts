import assert from "node:assert/strict";
import type { JailSettings } from "../../../agent/settings/jail-settings.ts";
import { type LoadOptions, loadSettings } from "../../../agent/settings/load-settings.ts";
import { configDir } from "./oracle.ts";

export const filter = { "filter.d/f.conf": "[Definition]\nfailregex = ^bad <HOST>$\n" };
export const services = new Map([["ssh", 22]]);

/** Settings of these jails, whose files need not exist. */
export function load(jail: string, files: Record<string, string> = {}, options: LoadOptions = {}) {
  using config = configDir({
    ...filter,
    "jail.conf": `[DEFAULT]\nenabled = true\nlogpath = /nowhere/x.log\n${jail}`,
    ...files,
  });
  return loadSettings(config.dir, { services, hasJournal: false, ...options });
}

/** One jail `a` with the filter `f`, its own options from line 6 on. */
export function loadOne(options: string, files: Record<string, string> = {}): JailSettings {
  const { jails, broken } = load(`[a]\nfilter = f\n${options}`, files);
  assert.deepEqual(broken, []);
  const [jail] = jails;
  assert.ok(jail);
  return jail;
}
