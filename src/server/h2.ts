/** The codec of HTTP/2: every stream is an exchange. What a client may do for nothing is bounded: docs/http2.md. */
import type { BodyPatienceParts } from './body-patience.ts'
import type { Codec, CodecParts, Timeouts } from './codec.ts'
import { H2Session, type SessionLimits } from './h2-session.ts'

export function createH2({ timeouts, deadlines, clock, run, refused }: CodecParts): Codec {
  const patienceOf = ({ clientBodyTimeout, clientBodyMinRate }: Timeouts): BodyPatienceParts => ({
    idle: { span: clientBodyTimeout, key: 'client_body_timeout' },
    minRate: clientBodyMinRate,
    deadlines,
    clock,
  })
  let limits: SessionLimits = { timeouts, patience: patienceOf(timeouts), draining: false }
  const sessions = new Set<H2Session>()
  const parts = { deadlines, clock, run, refused, limits: () => limits }

  return {
    accept(connection) {
      const session = new H2Session(connection, parts, () => sessions.delete(session))
      sessions.add(session)
    },
    reload(next) {
      limits = { ...limits, timeouts: next, patience: patienceOf(next) }
    },
    drain() {
      if (limits.draining) return
      limits = { ...limits, draining: true }
      for (const session of sessions) session.drain()
    },
    sweep(now) {
      for (const session of sessions) session.cutWhenStuck(now)
    },
    endIdle() {
      for (const session of sessions) session.endWhenIdle()
    },
  }
}
