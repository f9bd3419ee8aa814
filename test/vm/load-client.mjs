// Asks PORT of 127.0.0.1 for a page REQUESTS times on 16 connections that stay open, then opens CONNECTIONS more for one
// request each. Prints how many good answers came, and the first errors, as JSON.
import http from "node:http";

const [port, requests, connections] = process.argv.slice(2).map(Number);
let good = 0;
/** @type {string[]} */
const errors = [];

/** @param {http.Agent | undefined} agent */
function ask(agent) {
  return new Promise((resolve) => {
    /** @param {Error} error */
    const fail = (error) => {
      if (errors.length < 10) errors.push(String(error));
      resolve(undefined);
    };
    const request = http.get({ host: "127.0.0.1", port, path: "/", agent: agent ?? false }, (response) => {
      let text = "";
      response.setEncoding("latin1").on("data", (piece) => (text += String(piece)));
      response.on("error", fail);
      response.on("end", () => {
        if (response.statusCode === 200 && text.startsWith("<!doctype html>")) good++;
        resolve(undefined);
      });
    });
    request.on("error", fail);
  });
}

/** @param {number} count @param {number} together @param {http.Agent} [agent] */
async function askMany(count, together, agent) {
  let begun = 0;
  const worker = async () => {
    while (begun++ < count) await ask(agent);
  };
  await Promise.all(Array.from({ length: together }, worker));
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
// One by one at first, as QEMU accepts no two connections at once.
for (let each = 0; each < 16; each++) await askMany(1, 1, agent);
await askMany(Number(requests) - 16, 16, agent);
agent.destroy();
await askMany(Number(connections), 2);
console.log(JSON.stringify({ good, errors }));
