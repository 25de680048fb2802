// A whole subscriber for Node: every event in order and once. node subscribe.mjs tcp://HOST:PORT [LAST]
// Needs: npm install zeromq
import { Request, Subscriber } from "zeromq";

const [, , endpoint, start] = process.argv;
const history = endpoint.replace(/\d+$/, (port) => String(Number(port) + 1));
let [feed, run, last] = [null, null, BigInt(start ?? 0)];

// Fetch one page of what follows `last`; true if there is more.
async function catchUp() {
  const request = new Request({ linger: 0, receiveTimeout: 2000 });
  request.connect(history);
  let frames;
  try {
    await request.send(JSON.stringify({ op: "since", sequence: Number(last) }));
    frames = await request.receive();
  } catch {
    return false; // nobody there: the next heartbeat brings us back here
  } finally {
    request.close();
  }
  const head = JSON.parse(frames.shift());
  const known = [feed, run];
  [feed, run] = [head.feed, head.run];
  if (known[0] !== null && (known[0] !== feed || known[1] !== run)) {
    // Another journal, or one put back from an older copy.
    const before = BigInt(head.run_first) - 1n;
    last = known[0] !== feed ? 0n : last < before ? last : before;
    return true;
  }
  for (let at = 0; at < frames.length; at += 3) {
    last = frames[at + 1].readBigUInt64BE();
    console.log(frames[at + 2].toString());
  }
  if (head.error) return false;
  if (frames.length === 0) last = BigInt(head.last); // what is missing is no longer kept there
  return last < BigInt(head.last);
}

const events = new Subscriber({ receiveHighWaterMark: 10000 });
events.connect(endpoint);
events.subscribe("ev.", "hb");
for await (const [topic, number, body] of events) {
  const message = JSON.parse(body);
  const sequence = number.readBigUInt64BE();
  const known = message.feed === feed && message.run === run;
  if (topic.toString() !== "hb" && known && sequence === last + 1n) {
    last = sequence;
    console.log(body.toString());
  } else if (!known || sequence > last) {
    while (await catchUp());
  }
}
