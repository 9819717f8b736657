// Draws a code's QR symbol on a canvas: whole pixels, a quiet zone of four modules (ISO/IEC 18004, 6.3.8), black on
// white in every theme, because cameras read it.

import { encodeQR } from "./vendor/qr/index.js";

const QUIET = 4;

export function drawCode(canvas, text) {
  const rows = encodeQR(text, "raw", { border: QUIET, ecc: "low" });
  const wanted = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
  const scale = Math.max(Math.floor(wanted / rows.length), 2);
  canvas.width = canvas.height = rows.length * scale;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "#000000";
  for (const [y, row] of rows.entries()) {
    for (const [x, dark] of row.entries()) if (dark) pen.fillRect(x * scale, y * scale, scale, scale);
  }
}
