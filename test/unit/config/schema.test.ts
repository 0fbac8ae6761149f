import { readdirSync, readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { globalKeys, isSecret, routeKeys } from '../../../src/config/keys.ts'
import { isTree } from '../../../src/config/input.ts'
import { configJsonSchema, configSchema } from '../../../src/config/schema.ts'
import { compileRegex } from '../../../src/routing/regex.ts'
import { foreignKeys } from '../../../src/config/schema/unsupported.ts'

const byAjv = new Ajv({ strict: true, allowUnionTypes: true, keywords: ['x-restart'] }).compile(configJsonSchema())
/** Keys that begin with `x-` never come as far as the schema. */
const byZod = (value: unknown): boolean =>
  configSchema.safeParse(isTree(value) ? withoutExtensions(value) : value).success
const withoutExtensions = (value: object): object =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith('x-')))

describe('the JSON Schema says what Postern says', () => {
  const folder = new URL('../../golden/config/', import.meta.url)
  for (const name of readdirSync(folder)) {
    const [text = ''] = readFileSync(new URL(name, folder), 'utf8').split('----------\n')
    let value: unknown
    try {
      value = parse(text, { merge: true, logLevel: 'silent' }) ?? {}
    } catch {
      // Not YAML: no editor gets as far as the schema.
      continue
    }
    test(`of ${name}`, () => expect(byAjv(value)).toBe(byZod(value)))
  }

  test('of any value for any key', () => {
    const value = fc.oneof(
      fc.constantFrom<unknown>(
        'okta',
        'https://a.corp.example',
        '/x',
        '30s',
        '0',
        '',
        0,
        1,
        33,
        0.5,
        -1,
        true,
        false,
        null,
      ),
      fc.array(fc.constantFrom<unknown>('a', 1, ''), { maxLength: 2 }),
      fc.dictionary(
        fc.constantFrom('a', 'type', 'path', 'okta', 'api_key'),
        fc.constantFrom<unknown>('memory', '60s', 1, []),
        { maxKeys: 2 },
      ),
    )
    const names = [...new Set(globalKeys.map(({ path }) => path[0] ?? ''))]
    const route = fc
      .dictionary(fc.constantFrom(...routeKeys.map(({ path }) => path[0] ?? ''), 'unknown'), value, { maxKeys: 3 })
      .map((keys): unknown => ({ from: 'https://a.corp.example', to: 'http://a', ...keys }))
    const config = fc.oneof(
      fc.dictionary(fc.constantFrom(...names, 'unknown'), value, { maxKeys: 2 }),
      fc.array(route, { maxLength: 2 }).map((routes) => ({ routes })),
    )
    const accepted = { yes: 0, no: 0 }
    fc.assert(
      fc.property(config, (each) => {
        accepted[byZod(each) ? 'yes' : 'no']++
        expect(byAjv(each)).toBe(byZod(each))
      }),
      { numRuns: 3000 },
    )
    // A generator that makes only good or only bad inputs would prove nothing.
    expect(Math.min(accepted.yes, accepted.no)).toBeGreaterThan(100)
  })
})

test('Helm reads the schema, and its patterns by RE2', () => {
  const patterns = [...JSON.stringify(configJsonSchema()).matchAll(/"pattern":("(?:[^"\\\\]|\\\\.)*")/g)]
  expect(patterns.length).toBeGreaterThan(3)
  for (const [, text = ''] of patterns) expect(compileRegex(JSON.parse(text) as string)).not.toHaveProperty('problem')
})

describe('keys', () => {
  test('each is documented', () => {
    for (const { path, description } of [...globalKeys, ...routeKeys])
      expect([path.join('.'), description.length > 5]).toEqual([path.join('.'), true])
  })

  test('each has an environment name of its own', () => {
    expect(new Set(globalKeys.map(({ env }) => env)).size).toBe(globalKeys.length)
    expect(globalKeys.find(({ env }) => env === 'DIRECTORY_OKTA_API_TOKEN_FILE')?.path).toEqual([
      'directory',
      'okta',
      'api_token_file',
    ])
  })

  test('none is both supported and not', () => {
    for (const { path } of globalKeys) expect(foreignKeys('global')).not.toContain(path[0])
    for (const { path } of routeKeys) expect(foreignKeys('route')).not.toContain(path[0])
  })

  test('secrets are known wherever they stand', () => {
    for (const path of [
      ['shared_secret'],
      ['directory', 'okta', 'api_token'],
      ['idp_service_account', 'api_key'],
      ['routes', 0, 'tls_custom_ca'],
    ]) {
      expect(isSecret(path)).toBe(true)
    }
    for (const path of [['shared_secret_file'], ['idp_client_id'], ['routes', 0, 'to']])
      expect(isSecret(path)).toBe(false)
  })
})
