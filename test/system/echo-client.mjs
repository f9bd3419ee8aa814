// Sends text to HOST PORT over TCP and over UDP, and prints what came back as JSON.
import dgram from "node:dgram";
import net from "node:net";

const [host = "", port = ""] = process.argv.slice(2);

const tcp = await new Promise((resolve, reject) => {
  let heard = "";
  const socket = net.connect({ host, port: Number(port) }, () => socket.end("over TCP"));
  socket.setEncoding("utf8");
  socket.on("data", (text) => (heard += String(text)));
  socket.on("end", () => resolve(heard));
  socket.on("error", reject);
});

const udp = await new Promise((resolve, reject) => {
  const socket = dgram.createSocket("udp4");
  socket.on("error", reject);
  socket.on("message", (message) => {
    socket.close();
    resolve(message.toString());
  });
  socket.send("over UDP", Number(port), host);
});

console.log(JSON.stringify({ tcp, udp }));
