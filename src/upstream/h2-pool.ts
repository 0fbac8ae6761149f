import type { Socket } from 'node:net'
import { AppError } from '../errors.ts'
import type { AnswerHandler, UpstreamClient, UpstreamRequest } from './client.ts'
import { H2Call } from './h2-call.ts'
import { H2ClientConnection, type H2ConnectionOwner, type H2ConnectionParts, MAX_STREAMS } from './h2-connection.ts'

/** Connections of HTTP/2 to one upstream: one, and another when the upstream allows no more calls on it. */
export class H2Pool implements UpstreamClient, H2ConnectionOwner {
  private readonly parts: H2ConnectionParts
  /** Those that take calls, or will. */
  private readonly usable = new Set<H2ClientConnection>()
  private readonly all = new Set<H2ClientConnection>()
  private readonly waiting: H2Call[] = []
  private closing: AppError | undefined
  private readonly closed: (() => void)[] = []

  constructor(parts: H2ConnectionParts) {
    this.parts = parts
  }

  dispatch(request: UpstreamRequest, handler: AnswerHandler): void {
    const { closing } = this
    const call = new H2Call(request, handler)
    if (closing) return queueMicrotask(() => call.fail(closing))
    this.waiting.push(call)
    this.serve()
  }

  /** Is there a connection that takes another call, or will? */
  get hasRoom(): boolean {
    for (const connection of this.usable) if (connection.isComing || connection.hasRoom()) return true
    return false
  }

  /** @param socket stands, and the upstream has chosen HTTP/2. */
  adopt(socket: Socket): void {
    this.add(new H2ClientConnection(this.parts, this, socket))
  }

  close(): Promise<void> {
    this.closing ??= new AppError(
      'ERR_UPSTREAM_RESET',
      `upstream ${this.parts.origin}: its connections are being closed`,
    )
    this.leaveWhenServed()
    return new Promise((resolve) => {
      if (this.all.size === 0) resolve()
      else this.closed.push(resolve)
    })
  }

  destroy(): Promise<void> {
    const closed = this.close()
    if (this.closing) for (const connection of this.all) connection.cut(this.closing)
    return closed
  }

  onRoom(): void {
    this.serve()
    this.leaveWhenServed()
  }

  onLeft(connection: H2ClientConnection): void {
    this.usable.delete(connection)
  }

  onRefused(call: H2Call): void {
    this.waiting.push(call)
    // The connection that gave it back is still at it.
    queueMicrotask(() => this.serve())
  }

  onClosed(connection: H2ClientConnection): void {
    this.usable.delete(connection)
    this.all.delete(connection)
    // Whoever waits for nobody else will not be served.
    if (this.usable.size === 0) for (const call of this.waiting.splice(0)) call.fail(connection.failure)
    if (this.all.size === 0) for (const resolve of this.closed.splice(0)) resolve()
  }

  private serve(): void {
    let coming = 0
    for (const connection of this.usable) {
      if (connection.isComing) coming += MAX_STREAMS
      for (; this.waiting.length > 0 && connection.hasRoom(); ) {
        const call = this.waiting.shift()
        if (call) connection.take(call)
      }
    }
    if (this.waiting.length <= coming) return
    this.add(new H2ClientConnection(this.parts, this))
  }

  private add(connection: H2ClientConnection): void {
    this.usable.add(connection)
    this.all.add(connection)
  }

  private leaveWhenServed(): void {
    if (this.closing && this.waiting.length === 0) for (const connection of this.usable) connection.leave()
  }
}
