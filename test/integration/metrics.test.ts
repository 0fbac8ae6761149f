/** The metrics of the running program: documented, and bounded whatever clients send. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { parseLabels } from '../../src/server/exposition.ts'
import { createRandom } from '../fuzz/random.ts'
import { createTestWorld, type World } from '../support/world.ts'

const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
const documented = new Map(
  [...page.matchAll(/^\| `(postern_\w+)` \| (\w+) \| ([^|]*) \|/gm)].map(([, name = '', type = '', labels = '']) => [
    name,
    { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label) },
  ]),
)

test('names are what Prometheus asks for: totals are counters, counters are totals, units are base units', () => {
  // https://prometheus.io/docs/practices/naming/
  for (const [name, { type, labels }] of documented) {
    expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter'])
    expect(name).not.toMatch(/_(?:ms|millis|milliseconds|minutes|hours|kb|mb|percent|gauge|counter|histogram)(?:_|$)/)
    expect(name).not.toMatch(/_(?:count|sum|bucket)$/)
    for (const label of labels) expect(label).toMatch(/^(?!le$|quantile$)[a-z_]+$/)
    if (type === 'histogram') expect(name).toMatch(/_(?:seconds|bytes)$/)
  }
})

let world: World
afterEach(async () => world?.close())

async function scrape(): Promise<string> {
  const port = world.app.operations.metrics?.address.port ?? 0
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
}

/** Name, labels and value of each line that is no comment. */
function samples(text: string) {
  return [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name = '', labels = '', value]) => ({
    name,
    labels: parseLabels(labels),
    value: Number(value),
  }))
}

/** Requests on one connection, all at once; resolves when so many answers have come, or it has ended. */
function pipelined(port: number, requests: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let answers = 0
    let rest = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => {
      const text = rest + piece
      answers += text.split('HTTP/1.1 ').length - 1
      rest = text.slice(-8)
      if (answers >= requests.length) socket.end()
    })
    socket.on('error', () => resolve(answers))
    socket.on('close', () => resolve(answers))
    socket.write(requests.join(''))
  })
}

test('10,000 requests of random methods, hosts, paths and headers: every metric is in docs/metrics.md, no label is the client’s', async () => {
  world = await createTestWorld({
    config: {
      metrics_address: '127.0.0.1:0',
      log_level: 'off',
      otel_traces_exporter: 'otlp',
      otel_traces_sampler: 'always_off',
    },
    upstream: (_, res) => void res.end(),
  })
  const random = createRandom(20_261_126)
  const word = (): string => `zq${random.below(1_000_000).toString(36)}`
  const pick = <T>(list: readonly [T, ...T[]]): T => random.pick(list)
  const hosts = ['public', 'everyone', 'engineering', 'authenticate', 'nowhere', ''] as const
  const methods = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT'] as const
  const request = (): string => {
    const host = pick(hosts) || word()
    const path = pick(['/', `/${word()}`, `/.postern/${word()}`, '/.postern/user', '/ping', `/x?${word()}=${word()}`])
    const method = random.once(20) ? word().toUpperCase() : pick(methods)
    return `${method} ${path} HTTP/1.1\r\nHost: ${host}.localhost\r\nX-Request-Id: ${word()}\r\nUser-Agent: ${word()}\r\nCookie: ${word()}=${word()}\r\n\r\n`
  }
  let answered = 0
  // A request that is refused ends its connection.
  for (let i = 0; answered < 10_000 && i < 3000; i++)
    answered += await pipelined(world.port, Array.from({ length: 50 }, request))
  expect(answered).toBeGreaterThanOrEqual(10_000)

  const text = await scrape()
  const all = samples(text)
  expect(all.flatMap(({ labels }) => labels).filter(([, value]) => /zq/i.test(value))).toEqual([])
  // 5 routes and none, 8 methods, a few codes each, 17 lines for each.
  expect(all.length).toBeLessThan(5000)
  const counted = all.filter(({ name }) => name === 'postern_http_server_request_duration_seconds_count')
  expect(counted.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThanOrEqual(answered)

  const types = new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type = '']) => [name, type]))
  // What another operating system does not have is not there.
  const ours = (names: Iterable<string>): readonly string[] =>
    [...names].filter((name) => !name.startsWith('postern_process_')).toSorted()
  expect(ours(types.keys())).toEqual(ours(documented.keys()))
  for (const [name, type] of types) expect(documented.get(name)?.type, name).toBe(type)
  for (const { name, labels } of all) {
    const metric = documented.get(name) ?? documented.get(name.replace(/_(?:bucket|sum|count)$/, ''))
    const names = labels.map(([label]) => label).filter((label) => label !== 'le')
    expect(names.toSorted(), name).toEqual(metric?.labels.toSorted())
  }
}, 60_000)
