/** downstream_mtls against certificates of real authorities, by connections of real TLS. */
import { X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Authority, createAuthorities, type Issued } from '../support/authority.ts'
import { parseAnswers, type WireAnswer } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const authorities = createAuthorities()
/** Some releases of Node give a server no intermediate certificate of its client (nodejs/node#65579): then the answer is no. */
const losesChains = /^v(?:24\.21|26\.(?:8|9|10|11))\./.test(process.version)

let corp: Authority
let below: Authority
let stranger: Authority
let laptop: Issued
let revoked: Issued
let world: World

/** Whoever shows one of these. */
const shown: Record<string, Issued | undefined> = {}
const programs: Record<string, Issued | undefined> = {}
const ROUTES = ['open', 'named', 'any'] as const

beforeAll(async () => {
  corp = authorities.root('Corp CA')
  below = corp.intermediate('Corp Sub CA')
  stranger = authorities.root('Corp CA')
  laptop = corp.issue('laptop', {
    names: ['DNS:laptop.corp.example', 'URI:spiffe://corp/laptop', 'email:ann@corp.example'],
  })
  revoked = corp.issue('lost', { names: ['DNS:lost.corp.example'] })
  const deep = below.issue('deep', { names: ['DNS:deep.corp.example'] })
  Object.assign(shown, {
    laptop,
    revoked,
    none: undefined,
    expired: corp.issue('old', { days: -2 }),
    'of a stranger that has the same name': stranger.issue('laptop', { names: ['DNS:laptop.corp.example'] }),
    'signed by itself': { cert: CERTIFICATE, key: KEY },
    'for servers': corp.issue('server', { usage: 'serverAuth', names: ['DNS:laptop.corp.example'] }),
    'for anything': corp.issue('any', { usage: '' }),
    'of an authority below': { cert: deep.cert + below.cert, key: deep.key },
    'of an authority below that is not shown': deep,
    'signed by a leaf': signedByLeaf(),
  })
  Object.assign(programs, {
    'with two names': corp.issue('two', { names: ['URI:spiffe://corp/laptop', 'URI:spiffe://corp/other'] }),
    'of another program': corp.issue('other', { names: ['URI:spiffe://corp/other'] }),
  })
  world = await createTestWorld({
    config: {
      authenticate_service_url: 'https://authenticate.localhost',
      certificate: CERTIFICATE,
      certificate_key: KEY,
      downstream_mtls: { ca: corp.cert, enforcement: 'policy' },
    },
    routes: [
      {
        from: 'https://ci.localhost',
        certificate_accounts: 'uri',
        pass_identity_headers: true,
        policy: { allow: { or: [{ service_account: 'certificate/spiffe://corp/laptop' }] } },
      },
      {
        from: 'https://told.localhost',
        allow_public_unauthenticated_access: true,
        set_request_headers: {
          'X-Fingerprint': '${pomerium.client_cert_fingerprint}',
          'X-Names': '${pomerium.client_cert_san_dns}',
        },
      },
      { from: 'https://people.localhost', allow_any_authenticated_user: true },
      { from: 'https://open.localhost', allow_public_unauthenticated_access: true },
      {
        from: 'https://named.localhost',
        policy: { allow: { or: [{ client_certificate: { san_dns: 'laptop.corp.example' } }] } },
      },
      {
        from: 'https://any.localhost',
        policy: { allow: { or: [{ accept: true }] }, deny: { or: [{ invalid_client_certificate: true }] } },
      },
    ],
  })
})
afterAll(async () => {
  authorities.remove()
  await world.close()
})

/** What a holder of any certificate might try: to be an authority. */
function signedByLeaf(): Issued {
  const made = stranger.issue('made', { names: ['DNS:laptop.corp.example'] })
  return { cert: made.cert + laptop.cert, key: made.key }
}

interface Asking {
  readonly certificate?: Issued | undefined
  readonly host?: string
  readonly path?: string
  readonly version?: 'TLSv1.2' | 'TLSv1.3'
  readonly headers?: string
}

/** The answer; undefined: the connection ended without one. */
function ask({
  certificate,
  host = 'open.localhost',
  path = '/',
  version = 'TLSv1.3',
  headers = '',
}: Asking): Promise<WireAnswer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(
      {
        port: world.port,
        host: '127.0.0.1',
        servername: host,
        rejectUnauthorized: false,
        minVersion: version,
        maxVersion: version,
        ...certificate,
      },
      () => socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${headers}\r\n`),
    )
    let text = ''
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(parseAnswers(text)[0]))
  })
}

async function statuses(certificate: Issued | undefined, version?: 'TLSv1.2' | 'TLSv1.3'): Promise<readonly unknown[]> {
  const asked = ROUTES.map((route) => ask({ certificate, host: `${route}.localhost`, ...(version && { version }) }))
  return (await Promise.all(asked)).map((answer) => answer?.status)
}

/** As people run it: certificates that are none are for rules, for every route, for the connection. */
function inForce(downstreamMtls: Readonly<Record<string, unknown>>): void {
  world.reload({ downstream_mtls: { ca: corp.cert, ...downstreamMtls } })
}

describe('enforcement: policy', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: only a certificate that is valid opens what asks for one',
    async (version) => {
      inForce({ enforcement: 'policy' })
      const found = Object.fromEntries(
        await Promise.all(
          Object.entries(shown).map(
            async ([name, certificate]) => [name, await statuses(certificate, version)] as const,
          ),
        ),
      )
      expect(found).toEqual({
        laptop: [200, 200, 200],
        revoked: [200, 403, 200],
        'for anything': [200, 403, 200],
        none: [200, 403, 495],
        expired: [200, 403, 495],
        'of a stranger that has the same name': [200, 403, 495],
        'signed by itself': [200, 403, 495],
        'for servers': [200, 403, 495],
        'of an authority below': [200, 403, 495],
        'of an authority below that is not shown': [200, 403, 495],
        'signed by a leaf': [200, 403, 495],
      })
    },
  )

  test('what is wrong is said to programs and to people', async () => {
    inForce({ enforcement: 'policy' })
    const host = 'any.localhost'
    expect(JSON.parse((await ask({ host }))?.body ?? '')).toMatchObject({
      error: 'denied',
      reason: 'client-certificate-required',
    })
    const certificate = shown['expired']
    expect(JSON.parse((await ask({ host, certificate }))?.body ?? '')).toMatchObject({
      reason: 'invalid-client-certificate',
    })
    const page = await ask({ host, certificate, headers: 'Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n' })
    expect(page?.status).toBe(495)
    expect(page?.body).toContain('The certificate that your browser showed is not valid here.')
  })
})

describe('what a certificate has to meet', () => {
  test('a revoked one is not valid, another one is', async () => {
    inForce({ enforcement: 'policy_with_default_deny', crl: corp.revoke([revoked]) })
    expect(await statuses(revoked)).toEqual([495, 495, 495])
    expect(await statuses(laptop)).toEqual([200, 200, 200])
  })

  test.skipIf(losesChains)(
    'with a list that is out of date, or without that of an authority, nobody knows: no',
    async () => {
      inForce({ enforcement: 'policy_with_default_deny', crl: corp.revoke([], -1) })
      expect(await statuses(laptop)).toEqual([495, 495, 495])
      inForce({ enforcement: 'policy_with_default_deny', crl: corp.revoke([]), max_verify_depth: 2 })
      expect(await statuses(shown['of an authority below'])).toEqual([495, 495, 495])
      inForce({ enforcement: 'policy_with_default_deny', crl: corp.revoke([]) + below.revoke([]), max_verify_depth: 2 })
      expect(await statuses(shown['of an authority below'])).toEqual([200, 403, 200])
    },
  )

  test('the access log says why one is not valid', async () => {
    const why = async (certificate: Issued | undefined): Promise<unknown> => {
      await ask({ certificate })
      return world.log().findLast(({ msg }) => msg === 'request')?.['client_certificate_fault']
    }
    const gone = corp.issue('gone', { names: ['DNS:gone.corp.example'] })
    inForce({ enforcement: 'policy_with_default_deny', crl: corp.revoke([gone]) })
    expect(await why(gone)).toBe('CERT_REVOKED')
    expect(await why(laptop)).toBeUndefined()
    expect(await why(undefined)).toBeUndefined()
    inForce({ enforcement: 'policy_with_default_deny', crl: corp.revoke([], -1) })
    expect(await why(laptop)).toBe('CRL_HAS_EXPIRED')
    inForce({ enforcement: 'policy_with_default_deny' })
    expect(await why(shown['expired'])).toBe('CERT_HAS_EXPIRED')
    inForce({ match_subject_alt_names: [{ dns: 'other' }] })
    expect(await why(laptop)).toBe('it has none of match_subject_alt_names')
  })

  test.skipIf(losesChains)('max_verify_depth', async () => {
    for (const [depth, status] of [
      [1, 495],
      [2, 200],
      [0, 200],
    ] as const) {
      inForce({ max_verify_depth: depth })
      expect((await ask({ certificate: shown['of an authority below'] }))?.status).toBe(status)
      expect((await ask({ certificate: laptop }))?.status).toBe(200)
    }
    // One of `ca` has signed it, whatever stands above.
    inForce({ ca: corp.cert + below.cert })
    expect((await ask({ certificate: shown['of an authority below that is not shown'] }))?.status).toBe(200)
  })

  test.each([
    [{ dns: 'laptop[.]corp[.]example' }, 200],
    [{ dns: 'laptop' }, 495],
    [{ dns: '.*[.]corp[.]example' }, 200],
    [{ uri: 'spiffe://corp/.*' }, 200],
    [{ uri: 'laptop.*' }, 495],
    [{ email: '.*@corp[.]example' }, 200],
    [{ user_principal_name: '.*' }, 495],
  ] as const)('match_subject_alt_names %j: %i', async (name, status) => {
    inForce({ match_subject_alt_names: [{ ip_address: '10[.].*' }, name] })
    expect((await ask({ certificate: laptop }))?.status).toBe(status)
  })
})

describe('enforcement: policy_with_default_deny', () => {
  test('every route refuses whoever has no valid certificate, public ones too; the sign-in service does not', async () => {
    inForce({})
    expect(await statuses(undefined)).toEqual([495, 495, 495])
    expect(await statuses(laptop)).toEqual([200, 200, 200])
    expect((await ask({ host: 'authenticate.localhost', headers: 'Accept: text/html\r\n' }))?.status).not.toBe(495)
    expect((await ask({ host: 'nowhere.localhost' }))?.status).toBe(404)
  })
})

describe('enforcement: reject_connection', () => {
  test('nothing is answered to whoever has no valid certificate, on any host', async () => {
    inForce({ enforcement: 'reject_connection' })
    for (const host of ['open.localhost', 'authenticate.localhost', 'nowhere.localhost']) {
      expect(await ask({ host })).toBeUndefined()
      expect(await ask({ host, certificate: shown['of a stranger that has the same name'] })).toBeUndefined()
      expect(await ask({ host, version: 'TLSv1.2', certificate: shown['expired'] })).toBeUndefined()
      expect(await ask({ host, certificate: shown['of an authority below'] })).toBeUndefined()
    }
    expect((await ask({ certificate: laptop }))?.status).toBe(200)
  })
})

test('an application is told of a valid certificate, and of no other', async () => {
  inForce({ enforcement: 'policy' })
  const told = async (certificate: Issued | undefined, headers = ''): Promise<unknown> => {
    const answer = await ask({ certificate, host: 'told.localhost', headers })
    const { headers: seen } = JSON.parse(answer?.body ?? '{}') as { headers?: Record<string, string> }
    return [seen?.['x-fingerprint'], seen?.['x-names']]
  }
  const fingerprint = new X509Certificate(laptop.cert).fingerprint256.replaceAll(':', '').toLowerCase()
  expect(await told(laptop, 'X-Fingerprint: forged\r\n')).toEqual([fingerprint, 'laptop.corp.example'])
  expect(await told(shown['of a stranger that has the same name'])).toEqual([undefined, undefined])
  expect(await told(undefined, 'X-Fingerprint: forged\r\nX_Names: forged\r\n')).toEqual([undefined, undefined])
})

describe('certificate_accounts', () => {
  const named = (answer: WireAnswer | undefined): unknown => {
    const { headers } = JSON.parse(answer?.body ?? '{}') as { headers?: Record<string, string> }
    const assertion = headers?.['x-postern-jwt-assertion']?.split('.')[1]
    return assertion && (JSON.parse(Buffer.from(assertion, 'base64url').toString()) as { sub: string }).sub
  }

  test('a program is who its certificate says, where the route takes that, and nowhere else', async () => {
    inForce({ enforcement: 'policy' })
    const answer = await ask({ certificate: laptop, host: 'ci.localhost' })
    expect([answer?.status, named(answer)]).toEqual([200, 'certificate:spiffe://corp/laptop'])
    expect(world.log().at(-1)).toMatchObject({
      auth: 'certificate',
      service_account: 'certificate/spiffe://corp/laptop',
    })
    // Another name, none, one that is not valid: nobody's.
    for (const certificate of [
      undefined,
      revoked,
      shown['of an authority below'],
      shown['of a stranger that has the same name'],
    ]) {
      expect((await ask({ certificate, host: 'ci.localhost' }))?.status).toBe(401)
    }
    expect((await ask({ certificate: programs['with two names'], host: 'ci.localhost' }))?.status).toBe(401)
    expect((await ask({ certificate: programs['of another program'], host: 'ci.localhost' }))?.status).toBe(403)
    expect((await ask({ certificate: laptop, host: 'people.localhost' }))?.status).toBe(401)
  })

  test('a browser shows its certificate whatever page asks: it is no identity', async () => {
    inForce({ enforcement: 'policy' })
    for (const headers of [
      'Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n',
      'Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n',
    ]) {
      const answer = await ask({ certificate: laptop, host: 'ci.localhost', headers })
      expect(answer?.status).not.toBe(200)
    }
  })

  test('nor is that of a trusted hop, which speaks for others', async () => {
    world.reload({ downstream_mtls: { ca: corp.cert, enforcement: 'policy' }, trusted_proxies: ['127.0.0.1'] })
    const headers = 'X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n'
    expect((await ask({ certificate: laptop, host: 'ci.localhost', headers }))?.status).toBe(401)
    world.reload({ trusted_proxies: undefined })
  })
})

test('forward-auth: the certificate of a proxy that asks is not that of its client', async () => {
  const about = (host: string): Promise<WireAnswer | undefined> =>
    ask({
      certificate: laptop,
      path: '/.postern/forward-auth',
      headers: `X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: ${host}.localhost\r\nX-Forwarded-Uri: /\r\n`,
    })
  const hosts = ['open', 'named', 'any', 'ci']
  const verdicts = async (enforcement: string): Promise<readonly (number | undefined)[]> => {
    world.reload({ downstream_mtls: { ca: corp.cert, enforcement }, trusted_proxies: ['127.0.0.1'] })
    return (await Promise.all(hosts.map(about))).map((answer) => answer?.status)
  }
  expect(await verdicts('policy')).toEqual([200, 403, 495, 401])
  expect(await verdicts('policy_with_default_deny')).toEqual([495, 495, 495, 495])
  // What it shows opens its own connection, and no more.
  expect(await verdicts('reject_connection')).toEqual([495, 495, 495, 495])
  world.reload({ trusted_proxies: undefined })
})

describe('connections that last', () => {
  /** Asks again and again by one connection. */
  function keepAlive(certificate: Issued, host: string) {
    const socket = connect({
      port: world.port,
      host: '127.0.0.1',
      servername: host,
      rejectUnauthorized: false,
      ...certificate,
    })
    let text = ''
    let isOpen = true
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => (isOpen = false))
    return {
      get open() {
        return isOpen
      },
      send: (more = '') => socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`),
      answers: () => parseAnswers(text).filter(({ complete }) => complete),
      text: () => text,
    }
  }

  test('a list of revoked certificates that changes ends them when they are idle', async () => {
    inForce({ crl: corp.revoke([]) })
    const connection = keepAlive(laptop, 'open.localhost')
    connection.send()
    await expect.poll(() => connection.answers().map(({ status }) => status)).toEqual([200])
    // Nothing that concerns them.
    world.reload({ cookie_expire: '9h' })
    connection.send()
    await expect.poll(() => connection.answers().length).toBe(2)
    expect(connection.open).toBe(true)
    inForce({ crl: corp.revoke([laptop]) })
    await expect.poll(() => connection.open).toBe(false)
    expect(connection.answers()).toHaveLength(2)
    expect((await ask({ certificate: laptop }))?.status).toBe(495)
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: no session is resumed, so that each certificate is checked anew',
    async (version) => {
      inForce({})
      let session: Buffer | undefined
      const reused: boolean[] = []
      for (let i = 0; i < 2; i++) {
        await new Promise<void>((resolve) => {
          const socket = connect(
            {
              port: world.port,
              host: '127.0.0.1',
              servername: 'open.localhost',
              rejectUnauthorized: false,
              maxVersion: version,
              ...shown['for anything'],
              ...(session && { session }),
            },
            () => {
              reused.push(socket.isSessionReused())
              socket.write('GET / HTTP/1.1\r\nHost: open.localhost\r\nConnection: close\r\n\r\n')
            },
          )
          socket.on('session', (next: Buffer) => (session = next))
          socket.on('close', resolve).resume()
        })
      }
      expect(reused).toEqual([false, false])
    },
  )
})
