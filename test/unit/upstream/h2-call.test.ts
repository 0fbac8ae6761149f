import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { AnswerHandler, UpstreamExchange } from '../../../src/upstream/client.ts'
import { AnswerFields } from '../../../src/upstream/h2-answer.ts'
import { H2Call, type H2Carrier } from '../../../src/upstream/h2-call.ts'
import { Output } from '../../../src/wire/h2-output.ts'
import { H2Stream } from '../../../src/wire/h2-stream.ts'

const OCTETS = 128 << 10

test('octets that come one by one for a slow client cost little more than themselves', async () => {
  const pieces: Buffer[] = []
  let exchange: UpstreamExchange | undefined
  const handler: AnswerHandler = {
    onStart: (started) => void (exchange = started),
    onHead() {},
    onPiece(piece) {
      if (piece.length > 0) pieces.push(piece)
      if (pieces.length === 1) exchange?.pause()
      return true
    },
    onEnd(last) {
      if (last) pieces.push(last)
      return true
    },
    onFailure: ({ error }) => expect.fail(error.message),
  }
  const request = { method: 'GET', path: '/', host: undefined, headers: '', body: undefined, length: undefined }
  const call = new H2Call(request, handler)
  const output = new Output(new Socket(), () => {})
  const stream = new H2Stream(1, { output, sendWindow: 0, isFirstBlock: () => false, forget() {} })
  stream.localEnded = true
  stream.remoteEnded = true
  const carrier: H2Carrier = {
    origin: 'h2c://upstream',
    authority: 'upstream',
    scheme: 'http',
    served: false,
    failure: new Error('closed'),
    takesConnect: false,
    sendAgain: () => false,
    open: () => stream,
  }
  call.begin(carrier)
  const head = new AnswerFields()
  head.field(':status', '200')
  call.receiveFields(head, false)
  await new Promise((resolve) => setImmediate(resolve))

  // As a socket reads them: many frames in one piece of memory.
  const read = Buffer.from(Array.from({ length: OCTETS }, (_, at) => at % 251))
  for (let at = 0; at < OCTETS; at++) call.receive(read.subarray(at, at + 1))
  expect(pieces).toHaveLength(1)
  call.receiveEnd()
  exchange?.resume()
  expect(pieces.length).toBeLessThan(5)
  expect(Buffer.concat(pieces).equals(read)).toBe(true)
})
