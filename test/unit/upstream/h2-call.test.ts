import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
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

test('a piece that is being written when its stream is given back lets no other one go', async () => {
  const body = new PassThrough()
  const failed: string[] = []
  const handler: AnswerHandler = {
    onStart() {},
    onHead() {},
    onPiece: () => true,
    onEnd: () => true,
    onFailure: ({ error }) => void failed.push(error.message),
  }
  const call = new H2Call({ method: 'POST', path: '/', host: undefined, headers: '', body, length: undefined }, handler)
  /** Of one connection each: what was written, and who waits for the kernel to have it. */
  const connections = [connection(), connection()] as const
  call.begin(connections[0].carrier)
  body.write('one,')
  await turn()
  body.end('two')
  // Its GOAWAY comes while the first piece is on its way into the socket.
  expect(call.detach()).toBe(true)
  connections[0].taken()
  await turn()
  call.begin(connections[1].carrier)
  connections[0].taken()
  for (let i = 0; i < 5; i++) {
    await turn()
    connections[1].taken()
  }
  expect(failed).toEqual([])
  expect(connections.map(({ written }) => written.join(''))).toEqual(['one,', 'one,two'])
})

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function connection() {
  const written: string[] = []
  let told: (() => void)[] = []
  const output = new Output(new Socket(), () => {})
  const stream = new H2Stream(1, { output, sendWindow: 65_535, isFirstBlock: () => false, forget() {} })
  output.flush = () => {}
  stream.write = (piece, sent) => {
    written.push(String(piece))
    told.push(() => sent())
  }
  return {
    written,
    taken() {
      const all = told
      told = []
      for (const tell of all) tell()
    },
    carrier: {
      origin: 'h2c://upstream',
      authority: 'upstream',
      scheme: 'http',
      served: false,
      failure: new Error('closed'),
      takesConnect: false,
      sendAgain: () => false,
      open: () => stream,
    } satisfies H2Carrier,
  }
}
