/** Traces on the running program: what a receiver of OTLP gets of requests, and what applications are told. */
import { afterEach, describe, expect, test } from 'vitest'
import {
  attributesOf,
  createOtlpReceiver,
  type OtlpReceiver,
  type OtlpSpan,
  protobufFields,
} from '../support/otlp-receiver.ts'
import { createTestWorld, type World } from '../support/world.ts'

const PARENT = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

let receiver: OtlpReceiver
let world: World
afterEach(async () => {
  await world.close()
  await receiver.close()
})

async function start(
  config: Readonly<Record<string, unknown>> = {},
  routes?: readonly Readonly<Record<string, unknown>>[],
) {
  receiver = await createOtlpReceiver()
  world = await createTestWorld({
    config: {
      otel_traces_exporter: 'otlp',
      otel_exporter_otlp_endpoint: receiver.url,
      otel_exporter_otlp_protocol: 'http/json',
      otel_bsp_schedule_delay: 20,
      ...config,
    },
    ...(routes && { routes }),
  })
}

const PUBLIC = [{ name: 'open', from: 'http://open.localhost', allow_public_unauthenticated_access: true }]

async function spansOf(traceId: string): Promise<readonly OtlpSpan[]> {
  await expect.poll(() => receiver.spans.some((span) => span.traceId === traceId)).toBe(true)
  return receiver.spans.filter((span) => span.traceId === traceId)
}

function lastLine(path: string): Record<string, unknown> {
  return world.log().findLast((line) => line['path'] === path) ?? {}
}

test('a request is one trace: the server, the session, the decision and the application, within one another', async () => {
  await start()
  const browser = world.browser()
  await world.signIn(browser, 'http://engineering.localhost/', 'alice@example.com')
  await browser.ask('http://engineering.localhost/seen?code=secret')
  const line = lastLine('/seen')
  const spans = await spansOf(String(line['trace_id']))
  const [server] = spans
  if (!server) throw new Error('no span')
  const steps = spans.filter(({ parentSpanId }) => parentSpanId === server.spanId)
  expect(server).toMatchObject({ name: expect.stringMatching(/^GET /), kind: 2 })
  expect(server.parentSpanId).toBeUndefined()
  expect(attributesOf(server)).toMatchObject({
    'http.request.method': 'GET',
    'http.response.status_code': '200',
    'url.scheme': 'http',
    'url.path': '/seen',
    'server.address': 'engineering.localhost',
    'http.route': line['route'],
    'postern.route_id': line['route_id'],
    'postern.request_id': line['request_id'],
    'network.protocol.version': '1.1',
  })
  expect(steps.map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual(
    ['session', 'authz', 'upstream'].map((name) => [name, server.spanId]),
  )
  const [session, authz, upstream] = steps
  if (!session || !authz || !upstream) throw new Error('a step is missing')
  expect(attributesOf(authz)).toEqual({
    'postern.decision': 'allow',
    'postern.reason': (line['reasons'] as string[])[0],
    'postern.route_id': line['route_id'],
  })
  expect(attributesOf(upstream)).toMatchObject({ 'http.response.status_code': '200', 'server.address': '127.0.0.1' })
  const instants = [
    server.startTimeUnixNano,
    session.startTimeUnixNano,
    authz.startTimeUnixNano,
    upstream.startTimeUnixNano,
  ]
  expect(instants).toEqual(instants.toSorted())
  expect(upstream.endTimeUnixNano).toBe(server.endTimeUnixNano)
  expect(world.received.at(-1)?.headers['traceparent']).toBe(`00-${server.traceId}-${upstream.spanId}-01`)
  expect(receiver.resource()).toMatchObject({ 'service.name': 'postern', 'telemetry.sdk.language': 'nodejs' })
  expect(receiver.resource()['service.instance.id']).toMatch(/^[\w-]{36}$/)
  expect(JSON.stringify(receiver.spans)).not.toMatch(/secret|alice/)
})

/** Each span with the names of those around it. */
function paths(spans: readonly OtlpSpan[]): readonly string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const pathOf = ({ name, parentSpanId = '' }: OtlpSpan): string => {
    const parent = byId.get(parentSpanId)
    return parent ? `${pathOf(parent)} > ${name}` : name
  }
  return spans.map(pathOf)
}

test('a sign-in waits for the provider, the directory and the store, and each is a span of its step', async () => {
  await start()
  await world.signIn(world.browser(), 'http://engineering.localhost/', 'alice@example.com')
  const spans = await spansOf(String(lastLine('/oauth2/callback')['trace_id']))
  const within = paths(spans)
  expect(within).toEqual(
    expect.arrayContaining([
      'GET > control > put used-states',
      'GET > control > POST /oauth2/v1/token',
      'GET > control > GET /oauth2/v1/keys',
      'GET > control > GET /oauth2/v1/userinfo',
      'GET > control > directory lookup',
      'GET > control > directory lookup > GET /api/v1/users/{id}',
      'GET > control > directory lookup > GET /api/v1/users/{id}/groups',
      'GET > control > put sessions-by-person',
    ]),
  )
  const named = (name: string) => attributesOf(spans.find((span) => span.name === name) ?? { attributes: [] })
  const { hostname, port, origin } = new URL(world.okta.url)
  expect(named('POST /oauth2/v1/token')).toEqual({
    'http.request.method': 'POST',
    'http.response.status_code': '200',
    'server.address': hostname,
    'server.port': port,
    'url.full': `${origin}/oauth2/v1/token`,
    'url.template': '/oauth2/v1/token',
    'postern.provider': 'default',
    'postern.grant': 'authorization_code',
  })
  expect(named('put sessions-by-person')).toEqual({
    'db.system.name': 'lmdb',
    'db.operation.name': 'put',
    'db.collection.name': 'sessions-by-person',
  })
  for (const span of spans) expect(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)).toBe(true)
  const asked = await spansOf(String(lastLine('/.postern/sign_in')['trace_id']))
  expect(paths(asked)).toContain('GET > control > GET /.well-known/openid-configuration')
  expect(JSON.stringify(receiver.spans)).not.toMatch(/alice|00udemo|code=|state=|access_token/)
})

test('what no request waits for is a trace of its own, and fails visibly', async () => {
  await start()
  const sync = () => receiver.spans.find(({ name }) => name === 'directory sync')
  await expect.poll(sync).toBeDefined()
  const spans = await spansOf(sync()?.traceId ?? '')
  expect(paths(spans)).toContain('directory sync > GET /api/v1/logs')
  expect(
    receiver.spans.filter(({ name, parentSpanId }) => name.startsWith('get ') && parentSpanId === undefined),
  ).toEqual([])
  world.okta.fault({ path: '/api/v1/users', act: { kind: 'status', status: 403 } })
  await world.signIn(world.browser(), 'http://engineering.localhost/', 'bob@example.com')
  const failed = (await spansOf(String(lastLine('/oauth2/callback')['trace_id']))).filter(({ status }) => status)
  expect(failed.map(({ name, attributes }) => [name, attributesOf({ attributes })['error.type']])).toEqual([
    ['GET /api/v1/users/{id}', '403'],
    ['directory lookup', 'ERR_DIRECTORY_FORBIDDEN'],
  ])
})

test('a request that is not recorded has no part that is', async () => {
  await start({ otel_traces_sampler: 'parentbased_always_on', trusted_proxies: ['127.0.0.1'] })
  const traceparent = `00-${PARENT}-${SPAN}-00`
  await world.browser().ask('http://authenticate.localhost/.postern/sign_in', { headers: { traceparent } })
  const browser = world.browser()
  await browser.ask('http://engineering.localhost/last')
  await spansOf(String(lastLine('/last')['trace_id']))
  expect(receiver.spans.filter(({ traceId }) => traceId === PARENT)).toEqual([])
})

describe('whose trace it is', () => {
  const ask = (headers: Readonly<Record<string, string>>) => world.browser().ask('http://open.localhost/x', { headers })
  const told = () => world.received.at(-1)?.headers ?? {}

  test('a trusted proxy says it, and decides whether it is recorded', async () => {
    await start({ trusted_proxies: ['127.0.0.1'] }, PUBLIC)
    await ask({ traceparent: `00-${PARENT}-${SPAN}-01`, tracestate: 'a=b' })
    const [server] = await spansOf(PARENT)
    expect(server).toMatchObject({ parentSpanId: SPAN, traceState: 'a=b' })
    expect(told()).toMatchObject({
      traceparent: expect.stringMatching(`^00-${PARENT}-(?!${SPAN})\\w{16}-01$`),
      tracestate: 'a=b',
    })
    expect(lastLine('/x')['trace_id']).toBe(PARENT)

    const other = PARENT.replace('4b', '4c')
    await ask({ traceparent: `00-${other}-${SPAN}-00` })
    expect(told()['traceparent']).toBe(`00-${other}-${SPAN}-00`)
    expect(lastLine('/x')['trace_id']).toBe(other)
    await ask({})
    await spansOf(String(lastLine('/x')['trace_id']))
    expect(receiver.spans.filter(({ traceId }) => traceId === other)).toEqual([])
  })

  test('nobody else does', async () => {
    await start({}, PUBLIC)
    await ask({ traceparent: `00-${PARENT}-${SPAN}-01`, tracestate: 'a=b' })
    const id = String(lastLine('/x')['trace_id'])
    expect(id).not.toBe(PARENT)
    const [server] = await spansOf(id)
    expect(server?.parentSpanId).toBeUndefined()
    expect(told()['traceparent']).toMatch(new RegExp(`^00-${id}-`))
    expect(told()).not.toHaveProperty('tracestate')
  })

  test.each([
    `00-${PARENT}-${SPAN}`,
    `00-${PARENT}-${SPAN}-01-more`,
    `ff-${PARENT}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${PARENT}-${'0'.repeat(16)}-01`,
    `00-${PARENT.toUpperCase()}-${SPAN}-01`,
    `00-${PARENT}-${SPAN}-01, 00-${PARENT}-${SPAN}-01`,
  ])('%j begins a new one', async (traceparent) => {
    await start({ trusted_proxies: ['127.0.0.1'] }, PUBLIC)
    await ask({ traceparent, tracestate: 'a=b' })
    expect(told()['traceparent']).toMatch(/^00-\w{32}-\w{16}-01$/)
    expect(told()['traceparent']).not.toContain(PARENT)
    expect(told()).not.toHaveProperty('tracestate')
  })
})

test('without otel_traces_exporter nothing is said, sent or logged', async () => {
  await start({ otel_traces_exporter: undefined }, PUBLIC)
  await world.browser().ask('http://open.localhost/x')
  expect(lastLine('/x')).not.toHaveProperty('trace_id')
  expect(world.received.at(-1)?.headers).not.toHaveProperty('traceparent')
  expect(receiver.requests).toEqual([])
})

test('a share of traces is recorded, and applications are told of the others that they are not', async () => {
  await start({ otel_traces_sampler: 'traceidratio', otel_traces_sampler_arg: 0.5 }, PUBLIC)
  const browser = world.browser()
  for (let i = 0; i < 60; i++) await browser.ask('http://open.localhost/x')
  const flags = world.received.map(({ headers }) => String(headers['traceparent']).slice(-2))
  const recorded = flags.filter((flag) => flag === '01').length
  // 1 in 10^8 is outside.
  expect(recorded).toBeGreaterThan(8)
  expect(recorded).toBeLessThan(52)
  await expect.poll(() => receiver.spans.filter(({ kind }) => kind === 2).length).toBe(recorded)
})

test('an application that is away, and a refusal, show in the spans', async () => {
  await start({}, [
    {
      name: 'away',
      from: 'http://away.localhost',
      to: 'http://127.0.0.1:1',
      allow_public_unauthenticated_access: true,
    },
    { name: 'shut', from: 'http://shut.localhost', allowed_users: ['nobody@example.com'] },
  ])
  const browser = world.browser()
  await browser.ask('http://away.localhost/away', { headers: { accept: '*/*' } })
  const [server, ...steps] = await spansOf(String(lastLine('/away')['trace_id']))
  expect(server).toMatchObject({ name: 'GET away', status: { code: 2 } })
  expect(attributesOf(server ?? { attributes: [] })).toMatchObject({
    'error.type': 'ERR_UPSTREAM_CONNECT',
    'http.response.status_code': '502',
  })
  expect(steps.at(-1)).toMatchObject({ name: 'upstream', status: { code: 2 } })

  await browser.ask('http://shut.localhost/shut', { headers: { accept: '*/*' } })
  const [refused, ...others] = await spansOf(String(lastLine('/shut')['trace_id']))
  expect(refused).not.toHaveProperty('status')
  expect(others.map(({ name }) => name)).toEqual(['session', 'authz'])
  expect(attributesOf(others[1] ?? { attributes: [] })['postern.decision']).toBe('sign-in')
})

test('protobuf says the same as JSON, with the headers that are configured', async () => {
  await start(
    {
      otel_exporter_otlp_protocol: 'http/protobuf',
      otel_exporter_otlp_traces_headers: 'Authorization=Bearer%20the-key',
      // Nothing but requests is traced then.
      idp_provider: 'oidc',
      idp_service_account: undefined,
    },
    PUBLIC,
  )
  await world.browser().ask('http://open.localhost/x')
  await expect.poll(() => receiver.requests.length).toBe(1)
  const [request] = receiver.requests
  expect(request?.path).toBe('/v1/traces')
  expect(request?.headers).toMatchObject({ 'content-type': 'application/x-protobuf', authorization: 'Bearer the-key' })
  const within = (bytes: Buffer, field: number): Buffer[] =>
    protobufFields(bytes).flatMap((each) => (each.field === field && Buffer.isBuffer(each.value) ? [each.value] : []))
  // ExportTraceServiceRequest.resource_spans = 1, ResourceSpans.scope_spans = 2, ScopeSpans.spans = 2.
  const spans = within(request?.body ?? Buffer.alloc(0), 1)
    .flatMap((each) => within(each, 2))
    .flatMap((each) => within(each, 2))
  expect(spans).toHaveLength(4)
  // Span.trace_id = 1, span_id = 2, name = 5.
  expect(spans.map((span) => within(span, 1)[0]?.toString('hex'))).toEqual(Array(4).fill(lastLine('/x')['trace_id']))
  expect(spans.map((span) => within(span, 5)[0]?.toString())).toEqual(['GET open', 'session', 'authz', 'upstream'])
  expect(world.received.at(-1)?.headers['traceparent']).toContain(
    within(spans[3] ?? Buffer.alloc(0), 2)[0]?.toString('hex'),
  )
  expect(world.logText()).not.toContain('the-key')
})

test('a receiver that is away costs requests nothing, and one line', async () => {
  await start({}, PUBLIC)
  receiver.answer(0)
  const browser = world.browser()
  for (let i = 0; i < 20; i++) expect((await browser.ask('http://open.localhost/x')).status).toBe(200)
  const told = () => world.log().filter(({ telemetry }) => telemetry === 'traces')
  await expect.poll(told).toHaveLength(1)
  expect(told()[0]).toMatchObject({ level: 'warn', msg: 'telemetry cannot be sent', receiver: receiver.url })
  receiver.answer(200)
  await expect.poll(() => told().at(-1)?.['msg'], { timeout: 10_000 }).toBe('telemetry can be sent again')
})
