// Runs the ```sh blocks of README.md as they are written, in order, line by line. Between `<!-- serves URL -->` and
// `<!-- stop -->` the next block's command is left running, and the URL must answer before what follows is run.
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";

process.chdir(path.resolve(import.meta.dirname, ".."));
rmSync("out/my-site", { recursive: true, force: true });

/** @type {import("node:child_process").ChildProcess | undefined} */
let server;
let serves = "";
let inBlock = false;
let commands = 0;
for (const line of readFileSync("README.md", "utf8").split("\n")) {
  const url = /^<!-- serves (\S+) -->$/.exec(line)?.[1];
  if (url !== undefined) serves = url;
  else if (line === "<!-- stop -->") await stop();
  else if (line === "```sh") inBlock = true;
  else if (line.startsWith("```")) inBlock = false;
  else if (inBlock && line.trim() !== "") {
    console.log(`$ ${line}`);
    commands++;
    if (serves !== "") await start(line);
    else {
      const result = spawnSync("bash", ["-c", line], { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
      console.log(result.stdout.split("\n").slice(0, 12).join("\n"));
      if (result.status !== 0) await fail(`exit status ${result.status ?? result.signal}: ${line}`);
    }
  }
}
if (commands === 0) await fail("README.md has no commands");
console.log(`${commands} commands of README.md ran`);

/** @param {string} command */
async function start(command) {
  const url = serves;
  serves = "";
  server = spawn("bash", ["-c", `exec ${command}`], { stdio: ["ignore", "inherit", "inherit"], detached: true });
  for (let tries = 0; tries < 600; tries++) {
    if (server.exitCode !== null) await fail(`ended before ${url} answered: ${command}`);
    const answered = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await fail(`${url} did not answer: ${command}`);
}

async function stop() {
  const child = server;
  if (child?.pid === undefined) return fail("nothing to stop");
  server = undefined;
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
  // As Ctrl-C does: the whole process group.
  process.kill(-child.pid, "SIGINT");
  const status = await ended;
  // npm ends itself by the signal that its script was ended by.
  if (status !== 0 && status !== "SIGINT" && status !== 130) await fail(`the server ended with ${String(status)}`);
}

/** @param {string} text */
async function fail(text) {
  console.error(text);
  if (server?.pid !== undefined) process.kill(-server.pid, "SIGKILL");
  process.exit(1);
}
