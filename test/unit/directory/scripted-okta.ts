import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock, Span } from '../../../src/types.ts'

export type Answer = (req: IncomingMessage, res: ServerResponse) => void

export interface Call {
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
}

/** An HTTP server on a port of its own that answers like Okta, unless it is told to answer otherwise. */
export interface ScriptedOkta {
  readonly origin: string
  readonly calls: Call[]
  /** Okta's clock minus ours. */
  skew: Span
  pageSize: number
  setPerson(id: string, status: string, groups?: readonly object[]): void
  removePerson(id: string): void
  /** The next calls are answered by these, one each, before anything else is looked at. */
  answerNext(...answers: readonly Answer[]): void
  /** Every call is answered by this; undefined: like Okta again. */
  answerAll(answer: Answer | undefined): void
  /** Resolves when so many calls have come in. */
  received(count: number): Promise<void>
  close(): Promise<void>
}

export const oktaGroup = (id: string, name = `Group ${id}`, type = 'OKTA_GROUP'): object => ({
  id,
  type,
  objectClass: ['okta:user_group'],
  profile: { name, description: null },
  _links: {},
})

export const json =
  (status: number, body: unknown, headers: Readonly<Record<string, string | readonly string[]>> = {}): Answer =>
  (_req, res) => {
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

export const oktaError = (
  status: number,
  errorCode: string,
  headers: Readonly<Record<string, string | readonly string[]>> = {},
): Answer =>
  json(
    status,
    { errorCode, errorSummary: 'said by a test', errorLink: errorCode, errorId: 'oae1', errorCauses: [] },
    headers,
  )

/** `in`: until the reset, on Okta's clock. */
export const limited = (okta: ScriptedOkta, clock: Clock, until: Span, limit = 100): Answer =>
  oktaError(429, 'E0000047', {
    'x-rate-limit-limit': String(limit),
    'x-rate-limit-remaining': '0',
    'x-rate-limit-reset': String(Math.round((Number(clock.now()) + okta.skew + until) / 1000)),
  })

/** Never answers; the connection stays open until the caller or the test ends it. */
export const silence: Answer = () => {}

/** The header of a whole list, the first bytes of it, and then a reset. */
export const cutOff: Answer = (_req, res) => {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' })
  res.write('[{"id":"00g1","type":"OKTA_GROUP","profile":{"name":"half', () => res.socket?.resetAndDestroy())
}

export async function startScriptedOkta(clock: Clock): Promise<ScriptedOkta> {
  const people = new Map<string, { status: string; groups: readonly object[] }>()
  const calls: Call[] = []
  const queue: Answer[] = []
  let always: Answer | undefined

  const server = createServer((req, res) => {
    res.setHeader('date', new Date(Number(clock.now()) + okta.skew).toUTCString())
    const url = new URL(req.url ?? '/', okta.origin)
    calls.push({ path: url.pathname, query: url.searchParams, headers: req.headers })
    const answer = queue.shift() ?? always ?? likeOkta(url)
    answer(req, res)
  })

  function likeOkta(url: URL): Answer {
    const [, id = '', list] = /^\/api\/v1\/users\/([^/]+)(\/groups)?$/.exec(url.pathname) ?? []
    const person = people.get(decodeURIComponent(id))
    if (!person) return oktaError(404, 'E0000007')
    if (!list) return json(200, { id, status: person.status, profile: { login: `${id}@example.com` } })
    const start = Number(url.searchParams.get('after') ?? 0)
    const page = person.groups.slice(start, start + okta.pageSize)
    const more = start + okta.pageSize < person.groups.length
    const links = [`<${url.href}>; rel="self"`]
    if (more) links.push(`<${okta.origin}${url.pathname}?after=${start + okta.pageSize}&limit=200>; rel="next"`)
    return json(200, page, { link: links })
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const okta: ScriptedOkta = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    skew: 0,
    pageSize: 200,
    setPerson: (id, status, groups = []) => void people.set(id, { status, groups }),
    removePerson: (id) => void people.delete(id),
    answerNext: (...answers) => void queue.push(...answers),
    answerAll(answer) {
      always = answer
    },
    async received(count) {
      while (calls.length < count) await turn()
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return okta
}
