import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createTestWorld } from '../../test/support/world.ts'
import { chart, find, findTool, metricNames, needing, renderObjects } from './chart.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: Readonly<Record<string, string>>
}
interface Dashboard {
  readonly panels: readonly {
    readonly title: string
    readonly type: string
    readonly targets?: readonly { readonly expr: string }[]
  }[]
}

const rules = parse(readFileSync(join(chart, 'files/rules.yaml'), 'utf8')) as readonly Rule[]
const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8')
const dashboard = JSON.parse(readFileSync(join(chart, 'files/dashboard.json'), 'utf8')) as Dashboard
const panels = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))
const expressions = [...rules.map(({ expr }) => expr), ...panels.map(({ expr }) => expr)]

describe('alert rules and dashboard', () => {
  test('ask for metrics that the running program exports', async () => {
    const world = await createTestWorld({ config: { metrics_address: '127.0.0.1:0' } })
    try {
      const port = world.app.operations.metrics?.address.port ?? 0
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      const exported = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
      const asked = [...new Set(expressions.flatMap(metricNames))].sort()
      expect(asked.length).toBeGreaterThan(15)
      expect(asked.filter((name) => !exported.has(name))).toEqual([])
    } finally {
      await world.close()
    }
  })

  test('look at one release only', () => {
    for (const { alert, expr } of rules) {
      const series = metricNames(expr).length + (expr.match(/\bup\{/g)?.length ?? 0)
      expect(expr.match(/\bTARGET\b/g), alert).toHaveLength(series)
    }
    for (const { title, expr } of panels) {
      expect(expr.split('namespace="$namespace",service=~"$service"').length - 1, title).toBe(metricNames(expr).length)
    }
  })

  test('each rule says what happened, what it means and what to do', () => {
    const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name)
    expect(rules.map(({ alert }) => alert)).toEqual(sections)
    for (const { alert, annotations } of rules) {
      expect(Object.keys(annotations), alert).toEqual(['summary', 'description', 'runbook', 'runbook_url'])
      expect(annotations['runbook_url']).toBe(`RUNBOOK#${alert.toLowerCase()}`)
    }
  })

  test.skipIf(findTool('helm') === undefined)(needing('helm', 'are rendered for the release'), async () => {
    const objects = await renderObjects(join(chart, 'ci/monitoring-values.yaml'))
    const rendered = find(objects, 'PrometheusRule').spec.groups[0]?.rules ?? []
    expect(rendered).toHaveLength(rules.length)
    for (const { expr, annotations } of rendered) {
      expect(expr).not.toContain('TARGET')
      expect(annotations['runbook_url']).toMatch(/^docs\/runbook\.md#postern/)
      expect(expr).toContain('namespace="team",service="rel-postern-metrics"')
    }
    const { data = {}, metadata } = find(objects, 'ConfigMap', '-dashboard')
    expect(JSON.parse(data['postern.json'] ?? '')).toEqual(dashboard)
    expect(metadata.labels['grafana_dashboard']).toBe('1')
  })
})
