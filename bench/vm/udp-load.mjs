// A closed-loop generator of DNS-like datagrams: keeps a window of questions in flight for some seconds, checks every
// answer, and prints how many there were a second.
import dgram from "node:dgram";
import process from "node:process";

const [host = "", port = "", seconds = "2", inFlight = "64"] = process.argv.slice(2);
const question = Buffer.alloc(48);
question.write("\x03www\x07example\x03net\x00", 12, "latin1");
const socket = dgram.createSocket("udp4");
let next = 0;
let answered = 0;
let wrong = 0;
/** When each id was asked, 0 when it is not in flight. */
const asked = new Float64Array(65_536);

function ask() {
  next = (next + 1) & 0xffff;
  asked[next] = performance.now();
  question.writeUInt16BE(next, 0);
  socket.send(question);
}

socket.on("message", (message) => {
  const id = message.readUInt16BE(0);
  if (message.length !== question.length || message[2] !== 0x80) wrong++;
  // An answer to what was given up and asked anew counts for nothing.
  if (asked[id] === 0) return;
  answered++;
  asked[id] = 0;
  ask();
});
socket.connect(Number(port), host, () => {
  for (let i = 0; i < Number(inFlight); i++) ask();
  // What is lost is asked for again, or the loop would run dry.
  const mend = setInterval(() => {
    const now = performance.now();
    for (let id = 0; id < 65_536; id++) {
      const at = asked[id] ?? 0;
      if (at > 0 && now - at > 200) {
        asked[id] = 0;
        ask();
      }
    }
  }, 100);
  const start = performance.now();
  setTimeout(
    () => {
      clearInterval(mend);
      const rate = answered / ((performance.now() - start) / 1000);
      console.log(JSON.stringify({ rate, wrong }));
      process.exit(wrong === 0 && answered > 0 ? 0 : 1);
    },
    Number(seconds) * 1000,
  );
});
