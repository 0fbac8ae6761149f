import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatIssue, type Judged, loadConfig, parseConfig } from '../../../src/config/load.ts'
import { fingerprint } from '../../../src/lib/fingerprint.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Config } from '../../../src/config/model.ts'

const secret = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY='
const minimal = {
  AUTHENTICATE_SERVICE_URL: 'https://authenticate.corp.example',
  IDP_PROVIDER_URL: 'https://dev-1.okta.com',
  IDP_CLIENT_ID: '0oa1',
  SHARED_SECRET: secret,
  INSECURE_SERVER: 'true',
}
const fixture = (name: string): string => new URL(`./fixtures/${name}`, import.meta.url).pathname

function load(text: string | undefined, env: Record<string, string> = {}): Judged {
  return parseConfig(text, 'config.yaml', env, (path) => readFileSync(path, 'utf8'))
}

function valid(text: string | undefined, env: Record<string, string> = minimal): Config {
  const loaded = load(text, env)
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  return loaded.config
}

function problems(text: string | undefined, env: Record<string, string> = minimal): readonly string[] {
  const loaded = load(text, env)
  return loaded.kind === 'invalid' ? loaded.issues.filter(({ severity }) => severity === 'error').map(formatIssue) : []
}

describe('precedence', () => {
  const withRoute = {
    ...minimal,
    ROUTES: '[{ from: "https://a.corp.example", to: "http://a", allow_any_authenticated_user: true }]',
  }
  const cases: readonly (readonly [
    key: string,
    env: string,
    (config: Config) => unknown,
    fallback: unknown,
    file: [string, unknown],
    environment: [string, unknown],
  ])[] = [
    ['cookie_expire', 'COOKIE_EXPIRE', (c) => c.live.cookieExpire, 50_400_000, ['1h', 3_600_000], ['2h', 7_200_000]],
    ['log_level', 'LOG_LEVEL', (c) => c.live.logLevel, 'info', ['debug', 'debug'], ['disabled', 'disabled']],
    [
      'pass_identity_headers',
      'PASS_IDENTITY_HEADERS',
      (c) => c.live.routes[0]?.action.kind === 'forward' && c.live.routes[0].action.identity.pass,
      false,
      ['true', true],
      ['false', false],
    ],
    ['xff_num_trusted_hops', 'XFF_NUM_TRUSTED_HOPS', (c) => c.live.xffNumTrustedHops, 0, ['1', 1], ['2', 2]],
    [
      'trusted_proxies',
      'TRUSTED_PROXIES',
      (c) => c.live.trustedProxies,
      [],
      ['[10.0.0.1]', ['10.0.0.1']],
      ['10.0.0.2, ::1', ['10.0.0.2', '::1']],
    ],
    [
      'idp_request_params',
      'IDP_REQUEST_PARAMS',
      (c) => c.fixed.idps[0].requestParams,
      {},
      ['{ a: b }', { a: 'b' }],
      ['{"c":"d"}', { c: 'd' }],
    ],
    [
      'directory: { max_staleness',
      'DIRECTORY_MAX_STALENESS',
      (c) => c.fixed.idps[0].directory.maxStaleness,
      3_600_000,
      ['2h }', 7_200_000],
      ['3h', 10_800_000],
    ],
    [
      'storage: { path',
      'STORAGE_PATH',
      (c) => c.fixed.storage,
      { kind: 'embedded', path: '.postern' },
      ['/a }', { kind: 'embedded', path: '/a' }],
      ['/b', { kind: 'embedded', path: '/b' }],
    ],
    [
      'address',
      'ADDRESS',
      (c) => [c.fixed.listen.host, c.fixed.listen.port],
      ['', 8080],
      ['127.0.0.1:1', ['127.0.0.1', 1]],
      ['[::1]:2', ['::1', 2]],
    ],
    [
      'health_check_addr',
      'HEALTH_CHECK_ADDR',
      (c) => c.fixed.healthCheckAddr,
      undefined,
      ['":1"', { host: '', port: 1 }],
      [':2', { host: '', port: 2 }],
    ],
    ['drain_delay', 'DRAIN_DELAY', (c) => c.live.drainDelay, 0, ['5s', 5000], ['6s', 6000]],
  ]
  for (const [key, name, read, fallback, [text, fromFile], [value, fromEnvironment]] of cases) {
    test(`${name}: default, then file, then environment`, () => {
      expect(read(valid(undefined, withRoute))).toEqual(fallback)
      expect(read(valid(`${key}: ${text}`, withRoute))).toEqual(fromFile)
      expect(read(valid(`${key}: ${text}`, { ...withRoute, [name]: value }))).toEqual(fromEnvironment)
    })
  }

  test('an empty variable is none', () => {
    expect(valid('cookie_expire: 1h', { ...minimal, COOKIE_EXPIRE: '' }).live.cookieExpire).toBe(3_600_000)
  })

  test('a value in the environment wins over the file of that value, and the other way round', () => {
    const { SHARED_SECRET: _, ...others } = minimal
    expect(valid('shared_secret_file: /nowhere').live.credentials.sharedSecrets[0].reveal()).toBe(secret)
    const [first] = valid(`shared_secret: ${secret}`, {
      ...others,
      SHARED_SECRET_FILE: fixture('shared-secret'),
    }).live.credentials.sharedSecrets
    expect(first.reveal()).toBe(secret)
  })

  test('each setting knows who said so, and secrets hide themselves', () => {
    const loaded = load('log_level: debug\nroutes:\n  - from: https://a.corp.example\n    to: http://a\n', {
      ...minimal,
      IDP_CLIENT_SECRET: 'never-shown',
      DIRECTORY_OKTA_BUDGET: '0.2',
    })
    if (loaded.kind === 'invalid') throw new Error('not valid')
    const setting = (path: string) => loaded.settings().find((each) => each.path.join('.') === path)
    expect(setting('log_level')).toEqual({
      path: ['log_level'],
      value: 'debug',
      source: { kind: 'file', file: 'config.yaml', at: { line: 1, column: 12 } },
    })
    expect(setting('directory.okta.budget')).toMatchObject({
      value: 0.2,
      source: { kind: 'environment', name: 'DIRECTORY_OKTA_BUDGET' },
    })
    expect(setting('cookie_expire')).toMatchObject({ value: '14h', source: { kind: 'default' } })
    expect(setting('routes.0.to')).toMatchObject({ value: 'http://a', source: { at: { line: 4, column: 9 } } })
    expect(setting('idp_client_secret')?.value).toBeInstanceOf(Secret)
    expect(JSON.stringify(loaded.settings())).not.toContain('never-shown')
  })
})

describe('the result', () => {
  test('is frozen all the way down', () => {
    const config = valid('routes:\n  - { from: "https://a.corp.example", to: "http://a", allowed_groups: [x] }')
    for (const part of [
      config,
      config.fixed.idps[0],
      config.fixed.idps[0].scopes,
      config.live.routes,
      config.live.routes[0],
      config.live.routes[0]?.policy,
    ]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  test('names follow compatibility', () => {
    expect(valid(undefined).live.naming).toMatchObject({
      controlPrefix: '/.postern',
      cookie: { https: '__Host-postern' },
    })
    expect(valid('compatibility: pomerium').live.naming).toMatchObject({
      controlPrefix: '/.pomerium',
      assertionHeader: 'x-pomerium-jwt-assertion',
      cookie: { https: '_pomerium', http: '_pomerium' },
    })
  })

  test('prefixes end at a segment, and at any character as in Pomerium', () => {
    const text =
      'routes:\n  - { from: "https://a.corp.example", to: "http://a", prefix: /x, allow_any_authenticated_user: true }'
    expect(valid(text).live.routes[0]?.match).toEqual({ kind: 'prefix', prefix: '/x', boundary: true })
    expect(valid(`compatibility: pomerium\n${text}`).live.routes[0]?.match).toEqual({
      kind: 'prefix',
      prefix: '/x',
      boundary: false,
    })
  })

  test('a route inherits what it does not say', () => {
    const [first, second] = valid(
      `default_upstream_timeout: 7s
pass_identity_headers: true
routes:
  - { from: "https://a.corp.example", to: "http://a", allow_any_authenticated_user: true }
  - from: https://b.corp.example
    to: http://a
    timeout: 0
    pass_identity_headers: false
    allow_websockets: false
    allow_origins: ["https://other.corp.example/"]
    set_request_headers: { X-Source: Postern }
    remove_request_headers: [X-Internal]
    tls_server_name: one
    tls_upstream_server_name: two
    tls_client_cert_file: ${fixture('tls.crt')}
    tls_client_key_file: ${fixture('tls.key')}
    allow_any_authenticated_user: true
`,
    ).live.routes
    expect(first?.action).toMatchObject({
      timeouts: {
        response: { span: 7000, key: 'default_upstream_timeout' },
        responseBody: { span: 300_000, key: 'upstream_body_timeout' },
        requestBody: { span: 60_000, key: 'client_body_timeout' },
      },
      identity: { pass: true },
      allowWebsockets: true,
      rewrite: { host: { kind: 'client' } },
    })
    expect(second?.action).toMatchObject({
      timeouts: {
        response: { span: 0, key: 'timeout' },
        responseBody: { span: 0, key: 'timeout' },
        requestBody: { span: 60_000, key: 'client_body_timeout' },
      },
      identity: { pass: false },
      allowWebsockets: false,
      allowOrigins: ['https://other.corp.example'],
      removeRequestHeaders: ['x-internal'],
      tls: { skipVerify: false, serverName: 'two', client: { chain: readFileSync(fixture('tls.crt'), 'utf8') } },
    })
    expect(second?.action.kind === 'forward' && second.action.setRequestHeaders).toEqual(
      new Map([['x-source', 'Postern']]),
    )
  })

  test('a route keeps its id when it moves, and gets another when it goes elsewhere', () => {
    const ids = (...routes: readonly string[]) => valid(`routes:\n${routes.join('\n')}`).live.routes.map(({ id }) => id)
    const route = (host: string, to: string) =>
      `  - { from: "https://${host}.corp.example", to: "${to}", allow_any_authenticated_user: true }`
    const [a, b] = ids(route('a', 'http://a'), route('b', 'http://b'))
    expect(ids(route('b', 'http://b'), route('a', 'http://a'))).toEqual([b, a])
    expect(ids(route('a', 'http://c'))).not.toEqual([a])
  })
})

function newKey(namedCurve: string): string {
  return generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

describe('TLS', () => {
  const tls = { CERTIFICATE_FILE: fixture('tls.crt'), CERTIFICATE_KEY_FILE: fixture('tls.key') }

  test('a certificate and its key make an https listener on 8443', () => {
    const { fixed, live } = valid('insecure_server: false', { ...minimal, INSECURE_SERVER: '', ...tls })
    expect(fixed.listen).toMatchObject({ port: 8443, tls: true })
    expect(live.certificate?.chain).toBe(readFileSync(fixture('tls.crt'), 'utf8'))
    expect(live.certificate?.key.reveal()).toBe(readFileSync(fixture('tls.key'), 'utf8'))
  })

  test('base64 of PEM is read too', () => {
    const base64 = (name: string) => readFileSync(fixture(name)).toString('base64')
    const env = { ...minimal, INSECURE_SERVER: '', CERTIFICATE: base64('tls.crt'), CERTIFICATE_KEY: base64('tls.key') }
    expect(valid(undefined, env).live.certificate?.chain).toContain('BEGIN CERTIFICATE')
  })

  test('the key of another certificate is refused', () => {
    const env = { ...minimal, INSECURE_SERVER: '', ...tls, CERTIFICATE_KEY_FILE: '', CERTIFICATE_KEY: newKey('P-256') }
    expect(problems(undefined, env)).toEqual([
      'environment CERTIFICATE_KEY certificate_key: this is not the key of the certificate; the first certificate of the file must be its own',
    ])
  })

  test('a certificate that OpenSSL does not serve is refused, and not when it would be put into force', () => {
    const weak = { CERTIFICATE_FILE: fixture('weak.crt'), CERTIFICATE_KEY_FILE: fixture('weak.key') }
    expect(problems(undefined, { ...minimal, INSECURE_SERVER: '', ...weak })).toEqual([
      'environment CERTIFICATE_FILE certificate: no client could be served with it: ee key too small',
    ])
  })

  test('a certificate that is not used is a warning', () => {
    const loaded = load(undefined, { ...minimal, ...tls })
    expect(loaded.kind === 'ok' && loaded.warnings.map(formatIssue)).toContain(
      'environment CERTIFICATE_FILE certificate: warning: not used: insecure_server is true',
    )
  })

  test('signing keys are P-256 or RSA of 2048 bits, one per PEM block', () => {
    const keys = newKey('P-256') + newKey('P-256')
    expect(valid(undefined, { ...minimal, SIGNING_KEY: keys }).live.credentials.signingKeys).toHaveLength(2)
    expect(problems(undefined, { ...minimal, SIGNING_KEY: newKey('P-384') })).toEqual([
      'environment SIGNING_KEY signing_key: key 1: expected a P-256 key, or an RSA key of at least 2048 bits, without passphrase',
    ])
  })
})

describe('files', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-config-'))
    await writeFile(join(folder, 'config.yaml'), 'log_level: debug\n')
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('a configuration is read from its file', async () => {
    const loaded = await loadConfig(join(folder, 'config.yaml'), minimal)
    expect(loaded.kind === 'ok' && loaded.config.live.logLevel).toBe('debug')
  })

  test('without a file the environment is enough', async () => {
    expect((await loadConfig(undefined, minimal)).kind).toBe('ok')
    const loaded = await loadConfig(undefined, {})
    expect(loaded.kind === 'invalid' && loaded.issues.map(formatIssue)[0]).toBe(
      'no configuration file was named, so the environment alone was read; write --config FILE',
    )
    expect(loaded.kind === 'invalid' && loaded.issues.map(formatIssue)[1]).toBe(
      'authenticate_service_url: missing; expected the external URL of the sign-in service, https://authenticate.corp.example (or AUTHENTICATE_SERVICE_URL in the environment)',
    )
  })

  test('who configures by the environment is not told to name a file', async () => {
    const loaded = await loadConfig(undefined, { ...minimal, LOG_LEVEL: 'loud' })
    const issues = loaded.kind === 'invalid' ? loaded.issues.map(formatIssue) : []
    expect(issues.join('\n')).toMatch(/^environment LOG_LEVEL log_level: expected one of/)
  })

  test('a file that is not there, or is a directory, is named', async () => {
    for (const [path, reason] of [
      [join(folder, 'nope.yaml'), 'no such file'],
      [folder, 'it is a directory'],
    ] as const) {
      const loaded = await loadConfig(path, minimal)
      expect(loaded.kind === 'invalid' && loaded.issues.map(formatIssue)).toEqual([
        `${path}: cannot read the configuration: ${reason}`,
      ])
    }
  })
})

test('the newline that ends a block of YAML is no part of a secret', () => {
  const clientAuth = (text: string): string => fingerprint(valid(text).fixed.idps.map((idp) => idp.clientAuth))
  expect(clientAuth('idp_client_secret: |\n  the-client-secret\n\n')).toBe(
    clientAuth('idp_client_secret: the-client-secret'),
  )
  expect(clientAuth('idp_client_secret: another-secret')).not.toBe(clientAuth('idp_client_secret: the-client-secret'))
})

test('no message holds a secret', () => {
  const hidden = 'hunter2-hunter2'
  const text = [
    'shared_secret',
    'idp_client_secret',
    'signing_key',
    'certificate_key',
    'cookie_secret',
    'databroker_storage_connection_string',
  ]
    .map((key) => `${key}: [${hidden}]`)
    .concat(`idp_service_account: '{"api_key": ${hidden}'`, `directory: { okta: { api_token: { k: ${hidden} } } }`)
    .join('\n')
  const lines = problems(text, {})
  expect(lines.filter((line) => line.includes('expected text'))).toHaveLength(7)
  expect(lines.join('\n')).not.toContain('hunter2')
})

describe('bytes that are no text', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-text-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  async function issuesOf(bytes: Buffer): Promise<readonly string[]> {
    const file = join(folder, 'bytes')
    await writeFile(file, bytes)
    const loaded = await loadConfig(file, minimal)
    return loaded.kind === 'invalid' ? loaded.issues.map((issue) => formatIssue(issue).replaceAll(file, 'FILE')) : []
  }

  test('a configuration in Latin-1 is refused where its first letter is', async () => {
    const text = Buffer.from('routes:\n  - name: Ingénieurs\n', 'latin1')
    expect(await issuesOf(text)).toEqual([
      'FILE:2:14: cannot read the configuration: the byte e9 is not UTF-8 (Latin-1, perhaps); save it as UTF-8, and write random bytes as base64',
    ])
  })

  test('a replacement character that was written is a letter like any other', async () => {
    expect(await issuesOf(Buffer.from('x-note: "\ufffd"\nroutes: []\n'))).toEqual([])
  })

  test('a configuration in UTF-16 is named as what it is', async () => {
    const text = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('routes: []\n', 'utf16le')])
    expect(await issuesOf(text)).toEqual(['FILE: cannot read the configuration: it is UTF-16; save it as UTF-8'])
  })

  test('a secret of random bytes is refused, whatever they happen to decode to', async () => {
    const { SHARED_SECRET: _, ...others } = minimal
    await writeFile(join(folder, 'secret'), Buffer.from(Array.from({ length: 32 }, (_value, i) => 0x80 + i)))
    const loaded = await loadConfig(undefined, { ...others, SHARED_SECRET_FILE: join(folder, 'secret') })
    const errors = loaded.kind === 'invalid' ? loaded.issues.filter(({ severity }) => severity === 'error') : []
    expect(errors.map(formatIssue)).toEqual([
      expect.stringMatching(
        /^environment SHARED_SECRET_FILE shared_secret_file: cannot read .*: the byte 80 is not UTF-8/,
      ),
    ])
  })
})

describe('a relative path', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-beside-'))
    await mkdir(join(folder, 'secrets'))
    await writeFile(join(folder, 'secrets', 'shared'), minimal.SHARED_SECRET)
    const secret = 'shared_secret_file: secrets/shared\n'
    await writeFile(join(folder, 'config.yaml'), secret)
    await writeFile(join(folder, 'wrong.yaml'), secret.replace('shared\n', 'none\n'))
  })
  afterAll(() => rm(folder, { recursive: true }))
  const { SHARED_SECRET: _, ...others } = minimal

  test('of the configuration file is beside it, wherever Postern runs, and is followed there', async () => {
    const loaded = await loadConfig(join(folder, 'config.yaml'), others)
    expect(loaded.kind).toBe('ok')
    expect([...loaded.files.keys()]).toEqual([join(folder, 'config.yaml'), join(folder, 'secrets', 'shared')])
  })

  test('that leads nowhere is named as it was looked for', async () => {
    const loaded = await loadConfig(join(folder, 'wrong.yaml'), others)
    expect(loaded.kind === 'invalid' && loaded.issues.map(formatIssue).slice(0, 1)).toEqual([
      `${join(folder, 'wrong.yaml')}:1:21 shared_secret_file: cannot read ${join(folder, 'secrets', 'none')}: no such file`,
    ])
  })

  test('of the environment is in the working directory', async () => {
    const asked: string[] = []
    await loadConfig(join(folder, 'config.yaml'), { ...others, SHARED_SECRET_FILE: 'secrets/shared' }, (path) => {
      asked.push(path)
      return path === 'secrets/shared' ? Buffer.from(minimal.SHARED_SECRET) : readFileSync(path)
    })
    expect(asked).toContain('secrets/shared')
  })
})
