import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createDeadlines } from '../../../src/lib/deadlines.ts'
import { H2Call } from '../../../src/upstream/h2-call.ts'
import { H2ClientConnection } from '../../../src/upstream/h2-connection.ts'
import { manualClock } from '../../support/clock.ts'
import { block, DATA, END_HEADERS, frame, HEADERS, PING, SETTINGS } from '../../support/h2-wire.ts'

test('an upstream that reads nothing may not ask for answers without end, whatever it sends beside', async () => {
  // It takes the first write, and no other.
  let writes = 0
  const wire = new Duplex({ read() {}, write: (_piece, _encoding, done) => void (++writes === 1 && done()) })
  const clock = manualClock()
  const deadlines = createDeadlines(clock)
  const owner = { onRoom() {}, onLeft() {}, onRefused() {}, onClosed() {} }
  const connection = new H2ClientConnection(
    { origin: 'h2c://upstream', authority: 'upstream', target: { path: '/' }, connectTimeout: 9, clock, deadlines },
    owner,
    wire as Socket,
  )
  const failures: string[] = []
  let octets = 0
  const call = new H2Call(
    { method: 'GET', path: '/', host: undefined, headers: '', body: undefined, length: undefined },
    {
      onStart() {},
      onHead() {},
      onPiece: (piece) => (octets += piece.length) > 0,
      onEnd: () => true,
      onFailure: ({ error }) => void failures.push(error.message),
    },
  )
  connection.read(frame(SETTINGS, 0, 0))
  connection.take(call)
  connection.read(frame(HEADERS, END_HEADERS, 1, block([[':status', '200']])))
  const [data, ping] = [frame(DATA, 0, 1, 'x'), frame(PING, 0, 0, Buffer.alloc(8))]
  for (let i = 0; i < 100 && failures.length === 0; i++) {
    for (let j = 0; j < 1000; j++) {
      connection.read(data)
      connection.read(ping)
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(failures).toEqual([expect.stringContaining('too many frames of no use')])
  expect(connection.output.queued).toBeLessThan(256 * 1024)
  deadlines.close()
})
