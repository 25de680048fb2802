// A relay of live RTSP in Node, which shares no code with GStreamer: node serve.cjs SOURCE_PORT CLIENT_PORT RTP_PORT
const Server = require("rtsp-streaming-server").default;
const [serverPort, clientPort, rtpPortStart] = process.argv.slice(2).map(Number);

new Server({ serverPort, clientPort, rtpPortStart, rtpPortCount: 100 }).start().then(() => console.log("ready"));
