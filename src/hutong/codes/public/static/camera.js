// The camera as a reader of codes. Where the browser reads codes itself, it does; else the library, which is loaded then.

const LOOK_MS = 150;

async function readerOf(formats) {
  const known = "BarcodeDetector" in window ? await BarcodeDetector.getSupportedFormats() : [];
  const wanted = formats.filter((it) => known.includes(it));
  if (wanted.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: wanted });
    return async (canvas) => (await detector.detect(canvas))[0]?.rawValue ?? "";
  }
  const { decodeQR } = await import("./vendor/qr/decode.js");
  return async (canvas) => {
    const image = canvas.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, canvas.width, canvas.height);
    try {
      return decodeQR(image) ?? "";
    } catch {
      return ""; // no code in this picture
    }
  };
}

export class Camera {
  #stream = null;
  #reader = null;

  // `read` hears every text that is seen, picture by picture. `formats`: those that the browser may know beside QR.
  constructor(video, canvas, read, formats = ["qr_code"]) {
    Object.assign(this, { video, canvas, read, formats, failed: false });
  }

  get isOpen() {
    return this.#stream !== null;
  }

  // Whether it is open now; `failed` where the browser did not let us.
  async open() {
    try {
      this.#reader ??= await readerOf(this.formats);
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
      this.video.srcObject = this.#stream;
      await this.video.play();
    } catch (error) {
      console.warn("no camera", error);
      this.close();
      this.failed = true;
      return false;
    }
    this.#look();
    return true;
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.failed = false;
  }

  async #look() {
    if (!this.#stream) return;
    try {
      const { video, canvas } = this;
      if (video.readyState >= 2 && video.videoWidth) {
        [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
        canvas.getContext("2d", { willReadFrequently: true }).drawImage(video, 0, 0);
        const text = await this.#reader(canvas);
        if (text) await this.read(text);
      }
    } catch (error) {
      console.warn("not read", error); // one picture; the next one may do
    }
    setTimeout(() => this.#look(), LOOK_MS);
  }
}
