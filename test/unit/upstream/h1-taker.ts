/** Requests to a raw upstream by our own client, and what becomes of them. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { RequestBody } from '../../../src/http/exchange.ts'
import { createDeadlines } from '../../../src/lib/deadlines.ts'
import type {
  AnswerHead,
  AnswerHandler,
  Failure,
  UpstreamExchange,
  UpstreamRequest,
} from '../../../src/upstream/client.ts'
import { H1Pool } from '../../../src/upstream/h1-pool.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { cleanup, type RawUpstream } from './support.ts'

export const GET: UpstreamRequest = {
  method: 'GET',
  path: '/x?q=1',
  host: undefined,
  headers: 'x-a: 1\r\n',
  body: undefined,
  length: undefined,
}

/** Takes an answer and remembers it. */
export class Taker implements AnswerHandler {
  exchange: UpstreamExchange | undefined
  head: AnswerHead | undefined
  readonly pieces: Buffer[] = []
  failure: Failure | undefined
  whole = false
  /** Does it need the pieces later? */
  keeps = false
  onPieceCame: (piece: Buffer) => void = () => {}
  readonly over: Promise<void>
  private end = (): void => {}

  constructor() {
    this.over = new Promise((resolve) => (this.end = resolve))
  }

  onStart(exchange: UpstreamExchange): void {
    this.exchange = exchange
  }
  onHead(head: AnswerHead): void {
    this.head = head
  }
  onPiece(piece: Buffer): boolean {
    this.pieces.push(this.keeps ? piece : Buffer.from(piece))
    this.onPieceCame(piece)
    return !this.keeps
  }
  onEnd(last: Buffer | undefined): boolean {
    if (last) this.pieces.push(this.keeps ? last : Buffer.from(last))
    this.whole = true
    this.end()
    return !this.keeps
  }
  onFailure(failure: Failure): void {
    this.failure = failure
    this.end()
  }

  get body(): string {
    return Buffer.concat(this.pieces).toString('latin1')
  }
  get code(): unknown {
    return this.failure && 'code' in this.failure.error ? this.failure.error.code : undefined
  }
}

export function poolTo(
  { port, origin }: Pick<RawUpstream, 'port' | 'origin'>,
  clock: ManualClock = manualClock(),
): H1Pool {
  const deadlines = createDeadlines(clock)
  const pool = new H1Pool({
    origin,
    authority: `127.0.0.1:${port}`,
    target: { host: '127.0.0.1', port },
    connectTimeout: 10_000,
    clock,
    deadlines,
  })
  cleanup(() => pool.destroy())
  return pool
}

export async function ask(pool: H1Pool, request: Partial<UpstreamRequest> = {}, taker = new Taker()): Promise<Taker> {
  pool.dispatch({ ...GET, ...request }, taker)
  await taker.over
  return taker
}

export function bodyOf(...pieces: readonly string[]): RequestBody {
  const body = Readable.from(pieces.map((piece) => Buffer.from(piece)))
  return Object.assign(body, { bytes: 0, starving: false, onPiece() {}, limit() {}, limitBytes() {} })
}

/** What comes in each write. */
export async function pieces(upstream: RawUpstream, ...sent: readonly string[]): Promise<void> {
  const { socket } = await upstream.connections.next()
  socket.setNoDelay(true)
  await say(socket, sent)
}

export async function say(socket: Socket, sent: readonly string[]): Promise<void> {
  for (const piece of sent) await new Promise((resolve) => socket.write(piece, 'latin1', () => setImmediate(resolve)))
}
