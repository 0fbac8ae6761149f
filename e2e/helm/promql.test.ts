/**
 * Dashboard and alerts, read by Prometheus' own parser and evaluated by its own engine, on series of every documented
 * metric. docs/metrics.md is what the running program has (test/integration/metrics.test.ts).
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { ERRORS } from '../../src/errors.ts'
import { chart, findTool, needing } from './chart.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
}
interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

const TARGET = 'namespace="team",service="postern-metrics"'
const rules = parse(
  readFileSync(join(chart, 'files/rules.yaml'), 'utf8').replaceAll('TARGET', TARGET),
) as readonly Rule[]
const dashboard = JSON.parse(readFileSync(join(chart, 'files/dashboard.json'), 'utf8')) as {
  readonly panels: readonly Panel[]
}
const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({
    title,
    expr: expr
      .replaceAll('namespace="$namespace",service=~"$service"', TARGET)
      .replaceAll('$__rate_interval', '5m')
      .replaceAll('$__range', '1h'),
  })),
)

const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
const words = (text: string): string[] => [...text.matchAll(/`([\w.-]+)`/g)].map(([, word = '']) => word)
const metrics = new Map(
  [...page.matchAll(/^\| `(postern_\w+)` \| (\w+) \| ([^|]*) \|/gm)].map(([, name = '', type = '', labels = '']) => [
    name,
    { type, labels: words(labels) },
  ]),
)
/** Of Prometheus itself. */
const COMMON = ['namespace', 'service', 'pod', 'le']

/** Values of labels that are a closed list, as the page has them; of others one or two that there may be. */
const closed = new Map(
  [...page.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, label = '', text = '']) => [label, words(text)]),
)
function valuesOf(metric: string, label: string): readonly string[] {
  if (label === 'code') return ['200', '404', '503']
  if (label === 'route') return ['wiki']
  if (label !== 'reason') {
    const list = closed.get(label) ?? []
    return list.length > 0 ? list : ['x']
  }
  if (metric === 'postern_upstream_errors_total')
    return Object.keys(ERRORS).flatMap((code) => (code.startsWith('ERR_UPSTREAM_') ? code.slice(13).toLowerCase() : []))
  return ['groups-unauthorized']
}

interface Series {
  readonly series: string
  readonly values: string
}

/** Every documented metric, with every value of its labels: totals that grow, gauges that stay. */
function everything(): readonly Series[] {
  return [...metrics].flatMap(([name, { type, labels }]) => {
    const sets = labels.reduce<readonly string[][]>(
      (all, label) => all.flatMap((set) => valuesOf(name, label).map((value) => [...set, `${label}="${value}"`])),
      [[`${TARGET},pod="postern-0"`]],
    )
    const values = type === 'gauge' ? '5+0x120' : '0+6x120'
    return sets.flatMap((set) => {
      const of = (suffix: string, more = ''): Series => ({
        series: `${name}${suffix}{${set.join(',')}${more}}`,
        values,
      })
      return type === 'histogram'
        ? [of('_bucket', ',le="0.1"'), of('_bucket', ',le="+Inf"'), of('_sum'), of('_count')]
        : [of('')]
    })
  })
}

const promtool = findTool('promtool')

describe.skipIf(!promtool)(needing('promtool', 'Prometheus'), () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-promql-'))
    writeFileSync(join(folder, 'rules.yaml'), stringify({ groups: [{ name: 'postern', interval: '1m', rules }] }))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** What promtool says; '' when it is content. */
  function run(...args: readonly string[]): string {
    try {
      execFileSync(promtool ?? '', args, { cwd: folder, timeout: 60_000, stdio: 'pipe', encoding: 'utf8' })
      return ''
    } catch (error) {
      const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string }
      return `${stdout}${stderr}`
    }
  }

  /** Each expression has a result, or (`none`) has none, after an hour of these series. */
  function evaluate(series: readonly Series[], expressions: readonly string[], found: boolean): string {
    const tests = expressions.map((expr) => ({
      expr: `(count(${expr}) or vector(0)) > bool 0`,
      eval_time: '60m',
      exp_samples: [{ labels: '{}', value: found ? 1 : 0 }],
    }))
    const file = {
      rule_files: ['rules.yaml'],
      evaluation_interval: '1m',
      tests: [{ interval: '1m', input_series: series, promql_expr_test: tests }],
    }
    writeFileSync(join(folder, 'test.yaml'), stringify(file))
    return run('test', 'rules', 'test.yaml')
  }

  test('takes the rules', () => {
    expect(run('check', 'rules', '--lint-fatal', 'rules.yaml')).toBe('')
  })

  test('takes each expression of the dashboard, and finds series for it', () => {
    expect(panels.length).toBeGreaterThan(20)
    expect(
      evaluate(
        everything(),
        panels.map(({ expr }) => expr),
        true,
      ),
    ).toBe('')
  })

  test('would find out a metric, a label or a value that is not there', () => {
    for (const wrong of [
      'rate(postern_http_requests_total{TARGET}[5m])',
      'rate(postern_authz_decisions_total{TARGET,outcome="deny"}[5m])',
      'rate(postern_authz_decisions_total{TARGET,decision="denied"}[5m])',
      'sum(rate(postern_authz_decisions_total{TARGET}[5m])',
    ])
      expect(evaluate(everything(), [wrong.replace('TARGET', TARGET)], true), wrong).not.toBe('')
  })

  test('labels that are summed by are those of the metrics', () => {
    for (const { expr } of [...panels, ...rules]) {
      const names = [...expr.matchAll(/\b(postern_\w+)\{/g)].map(([, name = '']) => name)
      const labels = names.flatMap(
        (name) => metrics.get(name.replace(/_(?:bucket|sum|count)$/, ''))?.labels ?? metrics.get(name)?.labels ?? [],
      )
      const known = new Set([...labels, ...COMMON])
      const used = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/))
      expect(
        used.filter((label) => !known.has(label)),
        expr,
      ).toEqual([])
    }
  })

  test('values that are matched with are those that there may be', () => {
    let seen = 0
    for (const { expr } of [...panels, ...rules]) {
      for (const [, name = '', matchers = ''] of expr.matchAll(/\b(postern_\w+)\{([^}]*)\}/g)) {
        const metric = name.replace(/_(?:bucket|sum|count)$/, '')
        for (const [, label = '', , value = ''] of matchers.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)) {
          if (COMMON.includes(label)) continue
          seen++
          for (const each of value.split('|'))
            expect(
              valuesOf(metric, label).some((known) => new RegExp(`^(?:${each})$`).test(known)),
              `${label} ${each} of ${expr}`,
            ).toBe(true)
        }
      }
    }
    expect(seen).toBeGreaterThan(5)
  })

  const of = (name: string, labels: string, values: string): Series => ({
    series: `${name}{${TARGET},pod="postern-0"${labels && `,${labels}`}}`,
    values,
  })
  /** An hour's series that must raise each alert. Instants: promtool's hour begins at 0. */
  const BAD: Readonly<Record<string, readonly Series[]>> = {
    PosternDown: [{ series: `up{${TARGET},pod="postern-0"}`, values: '0x120' }],
    PosternHighDenyRate: [
      of('postern_authz_decisions_total', 'route="wiki",decision="deny",reason="groups-unauthorized"', '0+10x120'),
      of('postern_authz_decisions_total', 'route="wiki",decision="allow",reason="groups-ok"', '0+90x120'),
    ],
    PosternUpstream5xx: [
      of('postern_http_server_request_duration_seconds_count', 'route="wiki",method="GET",code="502"', '0+10x120'),
      of('postern_http_server_request_duration_seconds_count', 'route="wiki",method="GET",code="200"', '0+90x120'),
    ],
    PosternUpstreamConnectFailures: [of('postern_upstream_errors_total', 'route="wiki",reason="connect"', '0+10x120')],
    PosternSignInFailures: [
      of('postern_authn_flows_total', 'step="callback",result="failed",reason="ERR_IDP_CLIENT"', '0+30x120'),
    ],
    PosternDirectoryStale: [
      of('postern_directory_staleness_seconds', '', '0+60x120'),
      of('postern_directory_feed_info', 'mode="log",leading="true"', '1x120'),
    ],
    PosternOktaBudgetLow: [
      of('postern_directory_rate_limit_remaining', 'endpoint="/api/v1/users"', '20x120'),
      of('postern_directory_rate_limit_limit', 'endpoint="/api/v1/users"', '600x120'),
    ],
    PosternConfigReloadFailed: [of('postern_config_last_reload_success', '', '0x120')],
    PosternCertificateExpiring: [
      of('postern_tls_certificate_not_after_timestamp_seconds', 'name="listener"', `${13 * 86_400}x120`),
    ],
    PosternStoreErrors: [of('postern_session_store_errors_total', 'op="get"', '0+1x120')],
    PosternStoreDown: [of('postern_session_store_up', '', '0x120')],
    PosternEventLoopLag: [of('postern_nodejs_eventloop_lag_p99_seconds', '', '0.3x120')],
    PosternSessionRefreshesFail: [of('postern_session_refreshes_total', 'outcome="failed"', '0+1x120')],
    PosternFileDescriptors: [
      of('postern_process_open_fds', '', '900x120'),
      of('postern_process_max_fds', '', '1024x120'),
    ],
    PosternLogLinesLost: [of('postern_log_lines_dropped_total', '', '0+1x120')],
  }
  /** The same where all is well. */
  const GOOD: readonly Series[] = [
    { series: `up{${TARGET},pod="postern-0"}`, values: '1x120' },
    of('postern_authz_decisions_total', 'route="wiki",decision="deny",reason="groups-unauthorized"', '0+1x120'),
    of('postern_authz_decisions_total', 'route="wiki",decision="allow",reason="groups-ok"', '0+99x120'),
    of('postern_http_server_request_duration_seconds_count', 'route="wiki",method="GET",code="502"', '0+1x120'),
    of('postern_http_server_request_duration_seconds_count', 'route="wiki",method="GET",code="200"', '0+99x120'),
    of('postern_upstream_errors_total', 'route="wiki",reason="connect"', '1x120'),
    of('postern_authn_flows_total', 'step="callback",result="failed",reason="400"', '0+1x120'),
    of('postern_authn_flows_total', 'step="callback",result="ok",reason="302"', '0+60x120'),
    // In a quiet night nobody is read, and the feed says that nothing has changed.
    of('postern_directory_last_success_timestamp_seconds', '', '60x120'),
    of('postern_directory_staleness_seconds', '', '10x120'),
    of('postern_directory_feed_info', 'mode="log",leading="true"', '1x120'),
    of('postern_directory_rate_limit_remaining', 'endpoint="/api/v1/users"', '300x120'),
    of('postern_directory_rate_limit_limit', 'endpoint="/api/v1/users"', '600x120'),
    of('postern_config_last_reload_success', '', '1x120'),
    of('postern_tls_certificate_not_after_timestamp_seconds', 'name="listener"', `${60 * 86_400}x120`),
    of('postern_session_store_errors_total', 'op="get"', '0x120'),
    of('postern_session_store_up', '', '1x120'),
    of('postern_nodejs_eventloop_lag_p99_seconds', '', '0.02x120'),
    of('postern_session_refreshes_total', 'outcome="failed"', '0+1x120'),
    of('postern_session_refreshes_total', 'outcome="renewed"', '0+9x120'),
    of('postern_process_open_fds', '', '100x120'),
    of('postern_process_max_fds', '', '1024x120'),
    of('postern_log_lines_dropped_total', '', '0x120'),
    of('postern_audit_lines_dropped_total', '', '3x120'),
  ]

  test.each(rules.map(({ alert }) => alert))('%s fires when it should', (alert) => {
    const series = BAD[alert] ?? []
    expect(series.length, 'no series in this test').toBeGreaterThan(0)
    expect(evaluate(series, [`ALERTS{alertname="${alert}",alertstate="firing"}`], true)).toBe('')
  })

  test('none fires when all is well', () => {
    expect(
      evaluate(
        GOOD,
        rules.map(({ alert }) => `ALERTS{alertname="${alert}"}`),
        false,
      ),
    ).toBe('')
  })

  test('the series of these tests have metrics and labels that there are', () => {
    for (const { series } of [...GOOD, ...Object.values(BAD).flat()]) {
      const [, name = '', labels = ''] = /^(\w+)\{(.*)\}$/.exec(series) ?? []
      if (name === 'up') continue
      const metric = metrics.get(name) ?? metrics.get(name.replace(/_count$/, ''))
      const names = [...labels.matchAll(/(\w+)="/g)]
        .map(([, label = '']) => label)
        .filter((label) => !COMMON.includes(label))
      expect(names.toSorted(), series).toEqual(metric?.labels.toSorted())
    }
  })
})
