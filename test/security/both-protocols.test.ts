/**
 * Each case of sections A to G of docs/reference/attack-cases.md, by HTTP/1.1 and by HTTP/2: what is refused by the one is
 * refused by the other, and what passes reaches the upstream as the same request. The file of its subject tries more forms
 * of each. A case without a meaning in HTTP/2 says why.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Received } from '../support/echo.ts'
import { ADMIN, APP, createGauntlet, type Gauntlet, request } from '../support/gauntlet.ts'
import {
  END_HEADERS,
  END_STREAM,
  type Fields,
  h2Wire,
  type H2Wire,
  headers,
  PROTOCOL_ERROR,
} from '../support/h2-wire.ts'

interface Asked {
  readonly method?: string
  readonly path: string
  /** `Host`, or `:authority`. */
  readonly host?: string
  /** In lower case, as HTTP/2 has them. */
  readonly fields?: Fields
  readonly as?: 'alice' | 'bob'
}

/** Status of the answer, and target of the request that reached the upstream, if any did. `malformed`: 400, or a stream that is reset. */
type Fate = readonly [status: number | 'malformed', reached?: string]

interface Row {
  readonly asked: Asked
  readonly fate: Fate
  /** Header of the request that reached the upstream → its values. */
  readonly values?: Readonly<Record<string, readonly string[]>>
  /** Header of the answer → its value. */
  readonly answer?: Readonly<Record<string, unknown>>
}

const row = (asked: Asked, fate: Fate, more: Omit<Row, 'asked' | 'fate'> = {}): Row => ({ asked, fate, ...more })
/** Another spelling of /admin. */
const admin = (path: string): readonly Row[] => [
  row({ path }, [401]),
  row({ path, as: 'bob' }, [403]),
  row({ path, as: 'alice' }, [200, '/admin']),
]
const refused = (path: string, status = 400): Row => row({ path, as: 'alice' }, [status])
const open = (path: string, reached = path): Row => row({ path }, [200, reached])
const sent = (fields: Fields, more: Partial<Asked> = {}): Asked => ({ path: '/user', as: 'alice', fields, ...more })
const malformed = (...fields: Fields): Row => row({ path: '/public', fields }, ['malformed'])

const ALICE = ['alice@example.com']
const TEXT = { 'cache-control': 'no-store', 'access-control-allow-origin': undefined }

/** Cases by number; a text says why there is nothing to try by HTTP/2. */
const CASES: Readonly<Record<string, readonly Row[] | string>> = {
  A01: [...admin('/public/../admin'), ...admin('/public/./../admin')],
  A02: [...admin('/public/%2e%2e/admin'), ...admin('/public/%2E./admin')],
  A03: [refused('/public%2f..%2fadmin'), refused('/admin%2Fx')],
  A04: [refused('/public\\..\\admin'), refused('/public/..%5cadmin')],
  A07: [...admin('//admin'), ...admin('/public//..//admin'), refused('//evil.test/admin', 404)],
  A08: [refused('/admin#/public'), open('/public/secret%23/endpoint')],
  A09: [refused('/api/private/secret?path=/status', 404), open('/api/x/status?y=/z')],
  A11: [...admin('/%61dmin'), refused('/ADMIN', 404)],
  A12: [refused('/admin%00'), refused('/%zz'), refused('/public/%0d%0aX-A:%20b')],
  A14: [refused('/adminx', 404), refused('/publicadmin', 404)],
  A15: [row({ path: '/strip/../admin' }, [401]), open('/strip/a', '/internal/a'), refused('/strip/..%2fadmin')],
  A16: [...admin('/.postern/../admin'), ...admin('/.postern/%2e%2e/admin')],
  A17: [
    row({ path: '/admin', fields: [['user-agent', 'GoogleHC/1.0']] }, [401]),
    row({ path: '/healthz/../admin' }, [401]),
  ],
  A18: [open('/public?a=1&a=2;b=%26&??'), open('/public?a=%2E&b=/../x')],
  B01: [
    row(
      sent([
        ['x-postern-claim-email', 'root@x'],
        ['x-postern-jwt-assertion', 'e30.e30.'],
        ['remote-user', 'root'],
      ]),
      [200, '/user'],
      {
        values: { 'x-postern-claim-email': ALICE, 'remote-user': [] },
      },
    ),
    row(
      {
        path: '/public',
        fields: [
          ['x-postern-claim-email', 'root@x'],
          ['x-forwarded-user', 'root'],
        ],
      },
      [200, '/public'],
      {
        values: { 'x-postern-claim-email': [], 'x-forwarded-user': [] },
      },
    ),
  ],
  B02: [
    row(
      sent([
        ['x_postern_claim_email', 'root@x'],
        ['x.postern.claim.email', 'root@x'],
      ]),
      [200, '/user'],
      {
        values: { 'x-postern-claim-email': ALICE, x_postern_claim_email: [], 'x.postern.claim.email': [] },
      },
    ),
  ],
  B03: [row(sent([['x-forwarded-groups', 'admins']]), [200, '/user'], { values: { 'x-forwarded-groups': [] } })],
  B04: [
    row(
      sent([
        ['x-postern-claim-email', 'a@x'],
        ['x-postern-claim-email', 'b@x'],
      ]),
      [200, '/user'],
      {
        values: { 'x-postern-claim-email': ALICE },
      },
    ),
  ],
  B07: 'claims come from the provider, and are written to the upstream by one function, whatever the client speaks',
  B09: [row(sent([['x-a', '\xff\xfe']]), [200, '/user'], { values: { 'x-a': ['\xff\xfe'] } })],
  B10: [row(sent([['cookie', 'a=1']]), [200, '/user'], { values: { cookie: ['a=1'] } })],
  B11: 'nothing that a client sends goes anywhere but to the upstream of its route',
  B13: [
    row(
      sent([
        ['__proto__', 'x'],
        ['constructor', 'x'],
      ]),
      [200, '/user'],
      {
        values: { ['__proto__']: ['x'], constructor: ['x'] },
      },
    ),
  ],
  C01: 'the absolute form is of HTTP/1.1; :authority against Host is C02',
  C02: [row({ path: '/admin', as: 'alice', fields: [['host', ADMIN]] }, [400])],
  C03: [
    row({ path: '/public', host: 'APP.localhost' }, [200, '/public']),
    row({ path: '/public', host: `${APP}.` }, [200, '/public']),
    row({ path: '/admin', host: `${APP}:80` }, [401]),
    row({ path: '/public', host: `${APP}:99999` }, [400]),
  ],
  C04: [
    row({ path: '/public', host: `${APP}@evil.test` }, [400]),
    row({ path: '/public', host: `${APP}/evil` }, [400]),
    row({ path: '/public', host: 'evil.test' }, [404]),
  ],
  C06: [
    row(
      {
        path: '/admin',
        fields: [
          ['x-forwarded-uri', '/public'],
          ['x-original-url', '/public'],
          ['x-forwarded-host', 'evil.test'],
        ],
      },
      [401],
    ),
  ],
  C08: 'HTTP/2 has one version, and a request without :authority and Host is malformed (h2-requests.test.ts)',
  C09: [
    row(
      {
        path: '/admin',
        fields: [
          ['accept', 'text/html'],
          ['sec-fetch-mode', 'navigate'],
          ['x-forwarded-host', 'evil.test'],
        ],
      },
      [302],
      { answer: { location: expect.stringMatching(/^http:\/\/authenticate\.localhost\/(?!.*evil)/) as string } },
    ),
  ],
  D01: [malformed(['content-length', '6'], ['transfer-encoding', 'chunked'])],
  D02: [malformed(['transfer-encoding', 'xchunked']), malformed(['transfer-encoding', 'identity'])],
  D03: [
    ...['+5', '0x5', '5, 5', '-1', '5 5'].map((value) => malformed(['content-length', value])),
    malformed(['content-length', '5'], ['content-length', '6']),
  ],
  D04: [malformed(['x-a', 'a\nb: c']), malformed(['x-a', 'a\rb']), malformed(['x-a', 'a\0b'])],
  D05: 'a body is DATA frames, whose lengths h2-floods.test.ts and h2-requests.test.ts try',
  D09: [
    row({ path: '/admin', as: 'alice' }, [200, '/admin']),
    row({ path: '/admin' }, [401]),
    row({ path: '/admin', as: 'bob' }, [403]),
  ],
  D11: [malformed(['x a', 'b']), malformed(['x(', 'b']), malformed(['', 'b']), malformed(['x\xe9', 'b'])],
  F01: 'the handshake differs (RFC 8441); h2-requests.test.ts has the same four refusals',
  F02: 'as F01',
  G02: [
    row({ path: '/admin', fields: [['origin', 'https://evil.test']] }, [401], { answer: TEXT }),
    row({ path: '/admin', as: 'bob', fields: [['origin', 'https://evil.test']] }, [403], { answer: TEXT }),
  ],
  G04: [
    row(
      {
        path: '/admin',
        fields: [
          ['sec-fetch-mode', 'cors'],
          ['accept', '*/*'],
        ],
      },
      [401],
      {
        answer: { location: undefined, 'set-cookie': undefined },
      },
    ),
  ],
  G05: [
    // Without the token of our own page, and she stays signed in.
    row({ path: '/.postern/sign_out', method: 'POST', as: 'alice', fields: [['sec-fetch-site', 'cross-site']] }, [400]),
    row({ path: '/user', as: 'alice' }, [200, '/user']),
  ],
}

interface Outcome {
  readonly status: number
  readonly malformed: boolean
  readonly received: readonly Received[]
  readonly header: (name: string) => string | undefined
}

let gauntlet: Gauntlet
let port: number
let wire: H2Wire
let id = -1

beforeAll(async () => {
  gauntlet = await createGauntlet()
  port = (await gauntlet.world.another({ codec_type: 'http2' })).app.listener.address.port
  wire = await h2Wire(port)
})
afterAll(async () => {
  wire.socket.destroy()
  await gauntlet.skip()
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

function fieldsOf({ fields = [], as }: Asked): Fields {
  return as === undefined ? fields : [['cookie', gauntlet.cookies[as] ?? ''], ...fields]
}

async function byHttp1(asked: Asked): Promise<Outcome> {
  const lines = fieldsOf(asked).map(([name, value]) => `${name}: ${value}`)
  const { method = 'GET', path, host = APP } = asked
  const outcome = await gauntlet.send(request(method, path, `Host: ${host}`, ...lines))
  const [answer, ...more] = outcome.answers
  if (!answer || more.length > 0) throw new Error('expected one answer')
  return {
    status: answer.status,
    malformed: [400, 501].includes(answer.status),
    received: outcome.received,
    header: answer.header,
  }
}

/** All on one connection: D09, and nothing that is refused ends it. */
async function byHttp2(asked: Asked): Promise<Outcome> {
  const { method = 'GET', path, host = APP } = asked
  const before = gauntlet.echo.received.length
  id += 2
  const pseudo: Fields = [
    [':method', method],
    [':scheme', 'http'],
    [':authority', host],
    [':path', path],
  ]
  wire.send(headers(id, [...pseudo, ...fieldsOf(asked)], END_HEADERS | END_STREAM))
  const { status, reset, header } = await wire.answer(id)
  return {
    status,
    malformed: status === 400 || reset === PROTOCOL_ERROR,
    received: gauntlet.echo.received.slice(before),
    header,
  }
}

const RUN = Object.entries(CASES).flatMap(([number, rows]) =>
  typeof rows === 'string' ? [] : rows.map((one) => [number, shown(one.asked), one] as const),
)

function shown({ method = 'GET', path, host, fields = [], as }: Asked): string {
  return `${method} ${path} of ${as ?? 'nobody'} ${JSON.stringify([...(host === undefined ? [] : [['host', host]]), ...fields])}`
}

test.each(RUN)('%s %s', async (_, __, { asked, fate: [status, reached], values = {}, answer = {} }) => {
  for (const [protocol, send] of [
    ['HTTP/1.1', byHttp1],
    ['HTTP/2', byHttp2],
  ] as const) {
    if (protocol === 'HTTP/2') await gauntlet.skip()
    const outcome = await send(asked)
    const fate = status === 'malformed' ? outcome.malformed : outcome.status
    expect([protocol, fate, outcome.received.map(({ target }) => target)]).toEqual([
      protocol,
      status === 'malformed' ? true : status,
      reached === undefined ? [] : [reached],
    ])
    for (const [name, expected] of Object.entries(values)) {
      expect([protocol, name, outcome.received[0]?.values(name)]).toEqual([protocol, name, expected])
    }
    for (const [name, expected] of Object.entries(answer)) {
      expect([protocol, name, outcome.header(name)]).toEqual([protocol, name, expected])
    }
  }
  await gauntlet.skip()
})

test('every case of these sections is here', () => {
  const text = readFileSync(new URL('../../docs/reference/attack-cases.md', import.meta.url), 'utf8')
  const numbers = [...text.matchAll(/^\| ([A-G]\d\d) \|/gm)].map(([, number]) => number)
  expect(numbers.length).toBeGreaterThan(30)
  expect(Object.keys(CASES).toSorted()).toEqual(numbers.toSorted())
})
