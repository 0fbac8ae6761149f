/** The codec of HTTP/1.1: one `Exchange` per request or upgrade. What its bytes mean is in src/wire. */
import { askedIn } from '../http/asked.ts'
import { field } from '../http/header-lines.ts'
import type { Reply } from '../http/exchange.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import type { Codec, CodecParts, Timeouts } from './codec.ts'
import { headText } from './h1-answer.ts'
import { H1Connection, type H1Context } from './h1-connection.ts'

export function createH1({ timeouts, deadlines, clock, run, refused }: CodecParts): Codec {
  const connections = new Set<H1Connection>()
  const patienceOf = ({ clientBodyTimeout, clientBodyMinRate }: Timeouts): BodyPatienceParts => ({
    idle: { span: clientBodyTimeout, key: 'client_body_timeout' },
    minRate: clientBodyMinRate,
    deadlines,
    clock,
  })
  const context: Mutable<H1Context, 'timeouts' | 'patience' | 'draining'> = {
    clock,
    deadlines,
    run,
    timeouts,
    patience: patienceOf(timeouts),
    draining: false,
    refusal({ peer }, status, detail, begin) {
      // Whoever only opened a connection has asked for nothing.
      const isAsked = begin.length > 0
      const text = begin.toString('latin1')
      const wants = looksLikeNavigation(text) ? 'html' : 'json'
      const reply = isAsked ? refused({ status, detail, clientIp: peer, wants, asked: askedIn(text) }) : undefined
      const { headers, body } = (wants === 'html' && reply) || NO_BODY
      const lines = headers.map(([name, value]) => field(name, value)).join('')
      const length = Buffer.byteLength(body)
      const head = headText(
        '1.1',
        { status, headers: lines, length },
        { length, chunked: false, close: true, now: clock.now() },
      )
      return head + Buffer.from(body).toString('latin1')
    },
    closed: (connection) => void connections.delete(connection),
  }
  return {
    accept: (connection) => void connections.add(new H1Connection(connection, context)),
    reload(next) {
      context.timeouts = next
      context.patience = patienceOf(next)
    },
    drain() {
      context.draining = true
    },
    sweep(now) {
      for (const connection of connections) connection.cutWhenStuck(now)
    },
    endIdle() {
      for (const connection of connections) connection.endWhenIdle()
    },
  }
}

type Mutable<T, K extends keyof T> = Omit<T, K> & { -readonly [P in K]: T[P] }

const NO_BODY: Pick<Reply, 'headers' | 'body'> = { headers: [], body: '' }

/** Of a head that is refused, and may be only its beginning: would a person look at the answer? */
function looksLikeNavigation(head: string): boolean {
  return !head.startsWith('HEAD ') && /\r\n(?:sec-fetch-mode:[ \t]*navigate|accept:[^\r\n]*text\/html)/i.test(head)
}
