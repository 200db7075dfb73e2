import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

/** Where distributions put it. */
const programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
export const browserProgram = programs.find((file) => existsSync(file));
export const whyNoBrowser =
  browserProgram === undefined ? "no Chromium here; apt-get install -y --no-install-recommends chromium" : false;

/** As root there is no sandbox; nothing is asked of anybody but the coordinator. */
const flags = [
  ...["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"],
  ...["--disable-sync", "--no-first-run"],
];
/** On a busy machine a page takes a while; a condition that does not come at all still ends the test. */
const patienceMs = 60_000;

export type Looks = Readonly<{ name: string; colorScheme: "light" | "dark"; width: number; height: number }>;
export const desk: Looks = { name: "light", colorScheme: "light", width: 1280, height: 860 };
export const night: Looks = { name: "dark", colorScheme: "dark", width: 1280, height: 860 };
export const phone: Looks = { name: "phone", colorScheme: "light", width: 390, height: 844 };

/** Taken only for whoever wants to look at them: they are a third of what the browser has to do. */
const picturesFolder = process.env.FLEET2BAN_TEST_PICTURES;

/** A browser with a profile of its own, gone afterwards. */
export type TestBrowser = AsyncDisposable &
  Readonly<{
    /** Whatever went wrong on any page: errors, refused content, requests to elsewhere, dialogs. */
    trouble: readonly string[];
    openPage(url: string, looks?: Looks): Promise<Page>;
    /** Kept in the folder that FLEET2BAN_TEST_PICTURES names; without it none is taken. */
    picture(page: Page, name: string): Promise<void>;
  }>;

export async function openBrowser(): Promise<TestBrowser> {
  const browser: Browser = await chromium.launch({ executablePath: browserProgram ?? "", args: flags });
  const trouble: string[] = [];
  return {
    trouble,
    async openPage(url, { name, colorScheme, width, height } = desk) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height }, baseURL: url });
      const page = await context.newPage();
      page.setDefaultTimeout(patienceMs);
      page.on("pageerror", (error) => trouble.push(`${name}: ${error.message}`));
      page.on("dialog", (dialog) => {
        trouble.push(`${name}: dialog ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("console", (message) => {
        // A status such as 401 is an answer, and tests look at it.
        const isAnswer = message.text().startsWith("Failed to load resource: the server responded");
        if (message.type() === "error" && !isAnswer) trouble.push(`${name}: ${message.text()}`);
      });
      page.on("request", (request) => {
        if (!request.url().startsWith(url)) trouble.push(`${name}: asked ${request.url()}`);
      });
      return page;
    },
    async picture(page, name) {
      if (picturesFolder !== undefined) {
        await page.screenshot({ path: join(picturesFolder, `${name}.png`), fullPage: true });
      }
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
type Findings = Readonly<{ id: string; impact: string; help: string; nodes: readonly string[] }>;

/** What keeps people from using the page, as axe-core sees it; `minor` and `moderate` findings are left out. */
export async function barriers(page: Page, { name }: Looks = desk): Promise<readonly Findings[]> {
  // Through the debugger: the page's own content policy lets no such script in.
  await page.evaluate(axe);
  // In the dark only the colours are others.
  const rules = name === night.name ? ["color-contrast"] : null;
  return await page.evaluate(async (only) => {
    type Axe = {
      run(
        options: object,
      ): Promise<{ violations: { id: string; impact: string; help: string; nodes: { html: string }[] }[] }>;
    };
    const { violations } = await (globalThis as unknown as { axe: Axe }).axe.run(
      only === null ? {} : { runOnly: only },
    );
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, impact, help, nodes }) => ({ id, impact, help, nodes: nodes.slice(0, 3).map(({ html }) => html) }));
  }, rules);
}

export async function logIn(page: Page, token: string): Promise<void> {
  await page.goto("/");
  await page.getByLabel("API token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}
