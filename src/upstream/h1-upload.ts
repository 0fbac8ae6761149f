import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { AppError } from '../errors.ts'
import { giveBack } from '../lib/give-back.ts'

/**
 * The body of a request on its way into a connection (RFC 9112 §6, §7.1): framed by us, at the pace of the upstream. Never
 * more bytes than were announced, and never an end before all of them.
 */
export class H1Upload {
  private readonly socket: Socket
  private readonly body: Readable
  /** Bytes that are still to come; undefined: chunks. */
  private left: number | undefined
  private readonly failed: (error: Error) => void
  /** Has everything been handed to the socket? Otherwise the connection cannot serve again. */
  done = false

  /** Reads from now on. @param failed once, when the body failed; then nothing more is written. */
  constructor(socket: Socket, body: Readable, length: number | undefined, failed: (error: Error) => void) {
    this.socket = socket
    this.body = body
    this.left = length
    this.failed = failed
    body.on('data', this.onPiece).on('end', this.onEnd).on('error', this.onError).on('close', this.onClose)
    if (body.destroyed) process.nextTick(this.onClose)
  }

  /** The upstream takes more again. */
  resume(): void {
    this.body.resume()
  }

  /** The rest is not sent: what the client still sends is dropped. */
  stop(): void {
    const { body } = this
    body.off('data', this.onPiece).off('end', this.onEnd).off('error', this.onError).off('close', this.onClose)
    if (!this.done) body.destroy()
  }

  private readonly onPiece = (piece: Buffer): void => {
    const { socket } = this
    if (this.left === undefined) {
      socket.cork()
      socket.write(`${piece.length.toString(16)}\r\n`, 'latin1')
      socket.write(piece)
      socket.write('\r\n', 'latin1')
      socket.uncork()
    } else {
      this.left -= piece.length
      if (this.left < 0) return this.fail('is longer than its Content-Length')
      this.done = this.left === 0
      socket.write(piece)
    }
    // The kernel has all of it.
    if (socket.writableLength === 0) giveBack(piece)
    else if (socket.writableNeedDrain) this.body.pause()
  }

  private readonly onEnd = (): void => {
    if (this.left === undefined) this.socket.write('0\r\n\r\n', 'latin1')
    else if (this.left > 0) return this.fail('is shorter than its Content-Length')
    this.done = true
  }

  private readonly onError = (error: Error): void => {
    this.stop()
    this.failed(error)
  }

  private readonly onClose = (): void => {
    if (!this.done) this.onError(this.body.errored ?? new AppError('ERR_CLIENT_CLOSED', 'the request ended too early'))
  }

  private fail(what: string): void {
    this.onError(new AppError('ERR_INTERNAL', `the body of the request ${what}`))
  }
}
