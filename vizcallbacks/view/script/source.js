// Where the document and its parts come from: packed into the page, or fetched from TensorBoard piece by piece.

/** The document packed into this page, as base64 of zlib. */
export class Packed {
  static async open(text) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = await new Response(stream).arrayBuffer();
    const length = new DataView(bytes).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
    const offsets = [4 + length];
    for (const size of header.parts) offsets.push(offsets.at(-1) + size);
    return new Packed(header, (i) => new Uint8Array(bytes, offsets[i], header.parts[i]));
  }

  constructor(header, part) {
    this.header = header;
    this.live = false;
    this.part = part;
  }
}

/** A TensorBoard server; addresses are relative to the plugin's page. Parts are fetched when first asked for. */
export class Server {
  constructor() {
    this.live = true;
    this.waiting = new Map();
    this.etag = null;
    this.asked = [];
  }

  /** The document, whole for the runs in `asked` (none: the first few); null if nothing has changed. */
  async read() {
    const answer = await fetch(`document?${new URLSearchParams(this.asked.map((run) => ["run", run]))}`, {
      cache: "no-store",
      headers: this.etag ? { "If-None-Match": this.etag } : {},
    });
    if (answer.status === 304) return null;
    if (!answer.ok) throw new Error(`TensorBoard answered ${answer.status}`);
    this.etag = answer.headers.get("ETag");
    return answer.json();
  }

  part(address) {
    if (!this.waiting.has(address)) {
      const got = fetch(address).then((answer) => {
        if (!answer.ok) throw new Error(`TensorBoard answered ${answer.status}`);
        return answer.arrayBuffer();
      });
      this.waiting.set(address, got.then((bytes) => new Uint8Array(bytes)));
      got.catch(() => this.waiting.delete(address)); // asked for again at the next step
    }
    return this.waiting.get(address);
  }
}
