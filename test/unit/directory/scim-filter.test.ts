import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseFilter, parsePath } from '../../../src/directory/scim/filter.ts'

describe('filters', () => {
  test.each([
    ['userName eq "ann@x"', 'username', 'ann@x'],
    ['  USERNAME   EQ   "ann"  ', 'username', 'ann'],
    ['urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ann"', 'username', 'ann'],
    ['displayName eq ""', 'displayname', ''],
    ['displayName eq " and id eq "', 'displayname', ' and id eq '],
    [String.raw`displayName eq "a\"b\\cA"`, 'displayname', 'a"b\\cA'],
  ])('%s', (text, attribute, value) => {
    expect(parseFilter(text)).toEqual({ attribute, value })
  })

  test('any string value is parsed as it was written', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 100, unit: 'binary' }), (value) => {
        expect(parseFilter(`userName eq ${JSON.stringify(value)}`)).toEqual({ attribute: 'username', value })
      }),
    )
  })

  test('any text is parsed in linear time, without a throw', () => {
    const before = process.cpuUsage()
    for (const part of [' ', '"', '\\', 'a', 'a.', '\\"', ' eq ', '" eq "', '[']) {
      const text = `userName eq "${part.repeat(900 / part.length)}`
      for (let n = 0; n < 50; n++) {
        expect(parseFilter(text)).toBeUndefined()
        expect(parsePath(`members[${text}]`)).toBeUndefined()
      }
    }
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(1000)
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void [parseFilter(text), parsePath(text)]))
  })
})

describe('paths', () => {
  test.each([
    ['members', { kind: 'attribute', name: 'members' }],
    ['name.givenName', { kind: 'attribute', name: 'name.givenname' }],
    ['urn:ietf:params:scim:schemas:core:2.0:User:Active', { kind: 'attribute', name: 'active' }],
    ['members[value eq "Ab-1"]', { kind: 'member', value: 'Ab-1' }],
    ['Members[ value EQ "x" ]', { kind: 'member', value: 'x' }],
    ['urn:ietf:params:scim:schemas:core:2.0:Group:members[value eq "x"]', { kind: 'member', value: 'x' }],
  ])('%s', (text, path) => {
    expect(parsePath(text)).toEqual(path)
  })

  test.each(['', '__proto__', 'a b', 'members[value eq "x"]]', 'members[type eq "x"]', 'xmembers[value eq "x"]'])(
    '%j is none',
    (text) => {
      expect(parsePath(text)).toBeUndefined()
    },
  )
})
