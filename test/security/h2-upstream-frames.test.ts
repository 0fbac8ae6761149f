/** Whatever frames an upstream of HTTP/2 sends, each call ends once: with an answer that had a head, or as a failure. */
import * as fc from 'fast-check'
import type { Socket } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { createDeadlines } from '../../src/lib/deadlines.ts'
import type { UpstreamExchange } from '../../src/upstream/client.ts'
import { H2Pool } from '../../src/upstream/h2-pool.ts'
import { manualClock } from '../support/clock.ts'
import {
  ACK,
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  type Fields,
  frame,
  GOAWAY,
  HEADERS,
  PADDED,
  PING,
  RST_STREAM,
  SETTINGS,
  uint32,
  WINDOW_UPDATE,
} from '../support/h2-wire.ts'

const stream = fc.constantFrom(1, 3, 5)
const fields = fc.constantFrom<Fields>(
  [[':status', '200']],
  [
    [':status', '200'],
    ['content-length', '5'],
  ],
  [[':status', '103']],
  [[':status', '204']],
  [['grpc-status', '0']],
)
const flags = fc.constantFrom(0, END_STREAM)
const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([0, id]), uint32(value)])
const frames = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(stream, fields, flags).map(([id, of, end]) => headersOf(id, of, end)) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(stream, fc.constantFrom('', 'x', 'hello', 'x'.repeat(9000)), flags)
      .map(([id, piece, end]) => frame(DATA, end, id, piece)),
  },
  stream.map((id) => frame(DATA, PADDED | END_STREAM, id, '\x02ab\0\0')),
  fc.tuple(stream, fc.constantFrom(0, 7, 8)).map(([id, code]) => frame(RST_STREAM, 0, id, uint32(code))),
  fc.constantFrom(0, 1, 3).map((last) => frame(GOAWAY, 0, 0, Buffer.concat([uint32(last), uint32(0)]))),
  fc.tuple(fc.constantFrom(3, 4), fc.nat(3)).map(([id, value]) => frame(SETTINGS, 0, 0, setting(id, value))),
  fc.tuple(stream, fc.integer({ min: 1, max: 65_535 })).map(([id, more]) => frame(WINDOW_UPDATE, 0, id, uint32(more))),
  fc.constantFrom(0, ACK).map((flag) => frame(PING, flag, 0, Buffer.alloc(8))),
  fc.tuple(fc.constantFrom(2, 5, 9, 11), stream, fc.nat(7)).map(([type, id, n]) => frame(type, 0, id, Buffer.alloc(n))),
)
const asked = fc.record({
  body: fc.constantFrom('none', 'whole', 'late'),
  onHead: fc.constantFrom('reads', 'reads', 'pauses', 'aborts'),
})

function headersOf(id: number, of: Fields, end: number): Buffer {
  return frame(HEADERS, END_HEADERS | end, id, block(of))
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What the handler of a call heard, in order. */
function dispatch(pool: H2Pool, { body, onHead }: { readonly body: string; readonly onHead: string }): string[] {
  const heard: string[] = []
  const sent = body === 'none' ? undefined : new PassThrough()
  sent?.on('error', () => {}).write('abc')
  if (body === 'whole') sent?.end()
  if (body === 'late') setImmediate(() => sent?.destroyed || sent?.end('def'))
  let exchange: UpstreamExchange | undefined
  pool.dispatch(
    { method: 'POST', path: '/', host: undefined, headers: '', body: sent, length: undefined },
    {
      onStart: (started) => void (exchange = started),
      onHead() {
        heard.push('head')
        if (onHead === 'aborts') {
          heard.push('aborted')
          exchange?.abort()
        } else if (onHead === 'pauses') {
          exchange?.pause()
          setImmediate(() => exchange?.resume())
        }
      },
      onPiece: () => heard.push('piece') > 0,
      onEnd: () => heard.push('end') > 0,
      onFailure: () => void heard.push('failed'),
    },
  )
  return heard
}

test('a call ends once, whatever comes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(asked, { minLength: 3, maxLength: 3 }),
      fc.array(fc.array(frames, { maxLength: 4 }), { maxLength: 5 }),
      async (calls, turns) => {
        const clock = manualClock()
        const deadlines = createDeadlines(clock)
        const wire = new Duplex({ read() {}, write: (_piece, _encoding, done) => void setImmediate(done) })
        // Where what it gives back goes: nobody listens there.
        const target = { path: '/nobody/listens/here' }
        const pool = new H2Pool({
          origin: 'h2c://upstream',
          authority: 'upstream',
          target,
          connectTimeout: 1000,
          clock,
          deadlines,
        })
        pool.adopt(wire as Socket)
        const heard = calls.map((call) => dispatch(pool, call))
        wire.push(frame(SETTINGS, 0, 0))
        for (const several of turns) {
          if (!wire.destroyed) wire.push(Buffer.concat(several))
          await turn()
        }
        wire.destroy()
        for (let i = 0; i < 3; i++) await turn()
        await pool.destroy()
        await turn()
        deadlines.close()
        for (const one of heard)
          expect(one.join(' ')).toMatch(/^(?:head )?failed$|^head (?:piece )*(?:end|failed)$|^head aborted$/)
      },
    ),
    { numRuns: 600 },
  )
})
