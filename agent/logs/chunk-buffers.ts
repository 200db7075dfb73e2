import { readBufferBytes } from "./read-chunks.ts";

/** Buffers wait here between reads: one serves any number of idle logs. */
const spareBuffers: Buffer[] = [];
/** More are only needed while as many receivers are slow at once. */
const spareBuffersMax = 4;

/** A buffer of `readBufferBytes`, to be given back. */
export function takeBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(readBufferBytes);
}

export function giveBackBuffer(buffer: Buffer): void {
  if (spareBuffers.length < spareBuffersMax) spareBuffers.push(buffer);
}
