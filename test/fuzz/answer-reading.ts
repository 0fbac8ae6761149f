import type { Socket } from 'node:net'
import type { AnswerHandler, AnswerHead, UpstreamRequest } from '../../src/upstream/client.ts'
import { H1Exchange } from '../../src/upstream/h1-exchange.ts'

/** One answer, as somebody reads it. */
export interface ReadAnswer {
  readonly status: number
  /** Name in lower case and value, in turn; Latin-1. */
  readonly headers: readonly string[]
  /** Latin-1. */
  readonly body: string
}

/** `ended`: the connection ended behind the bytes. */
export interface Whole {
  readonly answer: ReadAnswer
  /** Offset behind it. */
  readonly end: number
  /** Would the connection serve again? */
  readonly kept: boolean
}

/** The answer at the beginning of the bytes, if all of it is there and it is one. @param cuts where the reads end. */
export function weRead(method: string, bytes: Buffer, cuts: readonly number[], ended: boolean): Whole | undefined {
  let head: AnswerHead | undefined
  let body = ''
  let state = 'reading' as 'reading' | 'whole' | 'failed'
  let kept = false
  const handler: AnswerHandler = {
    onStart() {},
    onHead: (found) => void (head = found),
    onPiece(piece) {
      body += piece.toString('latin1')
      return true
    },
    onEnd(last) {
      body += last?.toString('latin1') ?? ''
      state = 'whole'
      return true
    },
    onFailure: () => void (state = 'failed'),
  }
  const request: UpstreamRequest = { method, path: '/', host: 'x', headers: '', body: undefined, length: undefined }
  const exchange = new H1Exchange(request, handler)
  const socket = { write: () => true } as unknown as Socket
  exchange.begin(
    { origin: '', authority: '', pause() {}, resume() {}, release: () => (kept = true), giveUp() {} },
    socket,
  )
  let at = 0
  for (const cut of [...cuts, bytes.length]) {
    // A copy: chunks are moved together where they stand.
    if (state !== 'reading') break
    if (cut > at) exchange.read(Buffer.from(bytes.subarray(at, cut)))
    at = Math.max(at, cut)
  }
  if (ended && state === 'reading') exchange.onEnd()
  if (state !== 'whole' || !head) return undefined
  const { status, lines } = head
  const headers: string[] = []
  for (let i = 0; i < lines.count; i++) headers.push(lines.name(i).lower, lines.value(i))
  return { answer: { status, headers, body }, end: at, kept }
}
