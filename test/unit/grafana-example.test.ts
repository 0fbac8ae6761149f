/** examples/grafana/grafana.ini, as far as it speaks of Postern: no registry has Grafana to run it. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { openConfig } from '../support/built-program.ts'

const text = readFileSync(new URL('../../examples/grafana/grafana.ini', import.meta.url), 'utf8')
const values = new Map([...text.matchAll(/^(\w+) = (.*)$/gm)].map(([, name = '', value = '']) => [name, value]))

test('names the header, the keys and claims that Postern sends, and takes no other audience', () => {
  const judged = parseConfig(openConfig('http://127.0.0.1:9'), 'postern.yaml', {}, () => '')
  if (judged.kind !== 'ok') throw new TypeError('not a configuration')
  const { naming } = judged.config.live
  expect(values.get('header_name')?.toLowerCase()).toBe(naming.assertionHeader.toLowerCase())
  const { protocol, host, pathname } = new URL(values.get('jwk_set_url') ?? '')
  expect([protocol, pathname]).toEqual(['https:', `${naming.wellKnown}/jwks.json`])
  expect(JSON.parse(values.get('expect_claims') ?? '')).toEqual({ aud: host, iss: host })
  expect([values.get('username_claim'), values.get('email_claim'), values.get('groups_attribute_path')]).toEqual([
    'email',
    'email',
    'groups[*]',
  ])
})
