import { Duplex } from 'node:stream'

/** More than the 64 KiB that one read of a socket brings, or every full read would stop the upstream once. */
const HELD = 128 * 1024

/**
 * What http-proxy takes for the client's socket. Until a client is attached nothing reaches anybody: http-proxy writes
 * its own head of the 101 first, and the exchange writes ours. Afterwards bytes go both ways, at the pace of the slower
 * side; each side's end is passed on, and neither stream outlives the other.
 */
export class TunnelClient extends Duplex {
  private client: Duplex | undefined

  constructor() {
    super({ writableHighWaterMark: HELD })
    // http-proxy listens only once the upstream has switched.
    this.on('error', () => {})
  }

  attach(client: Duplex): void {
    this.client = client
    client.on('data', (piece: Buffer) => this.push(piece) || client.pause())
    client.once('end', () => this.push(null))
    client.once('close', () => this.destroy())
    if (client.destroyed) this.destroy()
  }

  // The adapter of the exchange sets its own socket up.
  setTimeout(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}

  override _read(): void {
    this.client?.resume()
  }

  override _write(piece: Buffer, _: BufferEncoding, done: () => void): void {
    const { client } = this
    if (!client || client.write(piece)) done()
    else client.once('drain', done)
  }

  override _final(done: () => void): void {
    if (this.client) this.client.end(done)
    else done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.client?.destroy()
    done(error)
  }
}
