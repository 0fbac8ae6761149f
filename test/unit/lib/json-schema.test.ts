import { expect, test } from 'vitest'
import { validator } from '../../../src/lib/json-schema.ts'

test('a value that lacks something is refused, and what it lacks is told', () => {
  const isNamed = validator<{ readonly name: string }>({
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string' } },
  })
  expect(isNamed.firstError()).toBeUndefined()
  expect(isNamed({ name: 'a', more: 1 })).toBe(true)
  expect(isNamed({ name: 1 })).toBe(false)
  expect(isNamed.firstError()).toMatchObject({ instancePath: '/name', message: 'must be string' })
})

test('a schema is compiled with the first value, not before', () => {
  const isNothing = validator<never>({ type: 'no such type' })
  expect(() => isNothing(1)).toThrow('type')
})

test('a keyword that nobody knows, or that says nonsense, is a fault of the schema, not a value that passes', () => {
  expect(() => validator({ type: 'string', maximumLength: 3 })('abcd')).toThrow('maximumLength')
  expect(() => validator({ type: 'string', maxLength: '3' })('abcd')).toThrow('maxLength')
  expect(() => validator({ type: 'object', required: 'name' })({})).toThrow('required')
})
