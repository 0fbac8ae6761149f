import type { Socket } from 'node:net'
import { AppError } from '../errors.ts'
import type { AnswerHandler, UpstreamClient, UpstreamRequest } from './client.ts'
import { H1Connection, type H1ConnectionOwner, type H1ConnectionParts } from './h1-connection.ts'
import { H1Exchange } from './h1-exchange.ts'

/**
 * Connections of HTTP/1.1 to one upstream. How many there are is not its concern: limits.ts lets so many
 * requests in, and each has a connection of its own, the one that was used last if one is free.
 */
export class H1Pool implements UpstreamClient, H1ConnectionOwner {
  private readonly parts: H1ConnectionParts
  private readonly all = new Set<H1Connection>()
  private readonly idle: H1Connection[] = []
  private closing: AppError | undefined
  private readonly waiting: (() => void)[] = []

  constructor(parts: H1ConnectionParts) {
    this.parts = parts
  }

  dispatch(request: UpstreamRequest, handler: AnswerHandler): void {
    // By then everything that has arrived is read: what an upstream has said unasked, on a connection that seems to be
    // idle, must not become the answer to this request (RFC 9112 §9.2).
    setImmediate(sendNow, this, request, handler)
  }

  sendNow(request: UpstreamRequest, handler: AnswerHandler): void {
    const { closing } = this
    if (closing) return handler.onFailure({ error: closing, stale: false, heard: false })
    const exchange = new H1Exchange(request, handler)
    let free = this.idle.pop()
    // Its end may not have been told yet.
    while (free?.closed) free = this.idle.pop()
    if (free) free.take(exchange)
    else this.all.add(new H1Connection(this.parts, this, exchange))
  }

  /** @param socket stands, and the upstream has chosen HTTP/1.1: the next connection that is needed, if one is soon. */
  adopt(socket: Socket): void {
    const connection = new H1Connection(this.parts, this, socket)
    this.all.add(connection)
    this.onFree(connection)
  }

  close(): Promise<void> {
    const { origin } = this.parts
    this.closing ??= new AppError('ERR_UPSTREAM_RESET', `upstream ${origin}: its connections are being closed`)
    for (const connection of this.idle.splice(0)) connection.giveUp()
    return new Promise((resolve) => {
      if (this.all.size === 0) resolve()
      else this.waiting.push(resolve)
    })
  }

  destroy(): Promise<void> {
    const closed = this.close()
    if (this.closing) for (const connection of this.all) connection.cut(this.closing)
    return closed
  }

  onFree(connection: H1Connection): void {
    if (this.closing) connection.giveUp()
    else this.idle.push(connection)
  }

  onClosed(connection: H1Connection, stale: boolean): void {
    this.all.delete(connection)
    const at = this.idle.indexOf(connection)
    if (at !== -1) this.idle.splice(at, 1)
    // Whatever has made one of them useless, a restart most likely, has done it to the others: a retry has a new one.
    if (stale) for (const other of this.idle.splice(0)) other.giveUp()
    if (this.all.size === 0) for (const resolve of this.waiting.splice(0)) resolve()
  }
}

function sendNow(pool: H1Pool, request: UpstreamRequest, handler: AnswerHandler): void {
  pool.sendNow(request, handler)
}
