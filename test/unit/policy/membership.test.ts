import { expect, test } from 'vitest'
import { createMembership, groupKey } from '../../../src/policy/membership.ts'

test('an Okta group id is an id, everything else a name', () => {
  expect(groupKey('00gabcdefghij1234567')).toBe('id:00gabcdefghij1234567')
  expect(groupKey('00gabcdefghij123456')).toBe('name:00gabcdefghij123456')
  expect(groupKey('00Gabcdefghij1234567')).toBe('name:00Gabcdefghij1234567')
  expect(groupKey('Engineering')).toBe('name:Engineering')
})

test('a membership can be matched by every id, and by the names that nobody can invent', () => {
  const { keys } = createMembership(
    [
      { id: '1', name: 'okta', type: 'OKTA_GROUP' },
      { id: '2', name: 'built in', type: 'BUILT_IN' },
      { id: '3', name: 'imported', type: 'APP_GROUP' },
      { id: 'claimed', name: 'claimed', type: 'CLAIM' },
    ],
    0,
    'test',
  )
  expect([...keys].toSorted()).toEqual(
    ['name:Everyone', 'id:1', 'name:okta', 'id:2', 'name:built in', 'id:3', 'id:claimed', 'name:claimed'].toSorted(),
  )
})
