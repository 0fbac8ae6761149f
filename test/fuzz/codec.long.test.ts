/**
 * The codec of HTTP/1.1 itself, on a connection in memory: wherever the bytes are cut it makes the same exchanges of them,
 * the ones that reading.ts finds, answers each once and in order, and then ends or waits.
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import type { Exchange } from '../../src/http/exchange.ts'
import { createDeadlines } from '../../src/lib/deadlines.ts'
import { compileTrust, parseTarget } from '../../src/routing/target.ts'
import type { Codec } from '../../src/server/codec.ts'
import { createH1 } from '../../src/server/h1.ts'
import { manualClock } from '../support/clock.ts'
import { parseAnswers } from '../support/wire.ts'
import { createRandom, type Random } from './random.ts'
import { weRead } from './reading.ts'
import { requestBytes } from './request-bytes.ts'

const CASES = Number(process.env['FUZZ_CASES'] ?? 20_000)
const SEED = Number(process.env['FUZZ_SEED'] ?? 7230)
const BATCH = 250
const TRUST = compileTrust({ proxies: [], hops: 0 })

interface Taken {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: string | undefined
}

/** One end of a connection: what is pushed was sent by a client. */
class Connection extends Duplex {
  bytesRead = 0
  bytesWritten = 0
  readonly taken: Taken[] = []
  text = ''

  override _read(): void {}

  override _write(piece: Buffer, _: BufferEncoding, done: () => void): void {
    this.text += piece.toString('latin1')
    done()
  }

  resetAndDestroy(): void {
    this.destroy()
  }
}

async function answer(connection: Connection, exchange: Exchange): Promise<void> {
  const { head } = exchange
  const { method, target, headers } = head
  if ('kind' in parseTarget(head, TRUST, 'id')) {
    exchange.respond({ status: 400, headers: '', close: true }).end('no')
    return
  }
  const list: string[] = []
  for (let i = 0; i < headers.count; i++) list.push(headers.name(i).lower, headers.value(i))
  let body = ''
  try {
    for await (const piece of exchange.body ?? []) body += (piece as Buffer).toString('latin1')
  } catch {
    if (!exchange.closed) exchange.respond({ status: 400, headers: '', close: true }).end('no')
    return
  }
  connection.taken.push({ method, target, headers: list, body: head.upgrade ? undefined : body })
  exchange.respond({ status: 200, headers: '' }).end(body)
}

function connect(codecOf: (connection: Connection) => Codec): Connection {
  const connection = new Connection()
  codecOf(connection).accept({
    // The codec uses no more of a socket than this has.
    socket: connection as unknown as Socket,
    peer: '127.0.0.1',
    encrypted: false,
    protocol: 'http/1.1',
    facts: undefined,
    reset: () => connection.resetAndDestroy(),
  })
  return connection
}

function send(connection: Connection, bytes: Buffer, random: Random): void {
  const most = random.pick([1, 3, 20, 200, bytes.length + 1])
  for (let at = 0; at < bytes.length; ) {
    const until = at + 1 + random.below(most)
    connection.push(bytes.subarray(at, until))
    at = until
  }
}

test(`of ${CASES} byte sequences (seed ${SEED}), cut anywhere, the codec makes the exchanges that we read`, async () => {
  const clock = manualClock()
  const deadlines = createDeadlines(clock)
  const codecOf = (connection: Connection): Codec =>
    createH1({
      timeouts: {
        timeoutRead: 5000,
        timeoutIdle: 60_000,
        clientBodyTimeout: 30_000,
        clientBodyMinRate: 100,
        clientWriteTimeout: 60_000,
        tunnelIdleTimeout: 60_000,
      },
      deadlines,
      clock,
      run: (exchange) => void answer(connection, exchange),
      refused: () => undefined,
    })
  const random = createRandom(SEED)
  let exchanges = 0
  for (let done = 0; done < CASES; done += BATCH) {
    const cases = Array.from({ length: BATCH }, () => {
      const bytes = Buffer.from(requestBytes(random), 'latin1')
      return { bytes, ours: weRead(bytes), connection: connect(codecOf) }
    })
    await turns(2)
    for (const { connection, bytes } of cases) send(connection, Buffer.from(bytes), random)
    await turns(40)
    for (const { bytes, ours, connection } of cases) {
      const expected = ours.map(({ method, target, headers, body }) => ({ method, target, headers, body }))
      const answers = parseAnswers(
        connection.text,
        ours.map(({ method }) => method),
      )
      const found = { taken: connection.taken, answered: answers.filter(({ status }) => status === 200).length }
      if (JSON.stringify(found) !== JSON.stringify({ taken: expected, answered: ours.length })) {
        expect({ bytes: bytes.toString('latin1'), ...found }).toEqual({
          bytes: bytes.toString('latin1'),
          taken: expected,
          answered: ours.length,
        })
      }
      // Refused once, at the end.
      expect(answers.slice(0, -1).every(({ status, complete }) => status === 200 && complete)).toBe(true)
      exchanges += ours.length
      connection.destroy()
    }
  }
  expect(exchanges).toBeGreaterThan(CASES / 20)
})

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
