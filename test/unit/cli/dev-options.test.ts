import { expect, test } from 'vitest'
import { devOptions } from '../../../cmd/postern/dev/options.ts'

const given = { as: 'ann@corp.example', groups: 'Engineering, Staff', name: 'wiki', port: '8080' }

test.each([
  ['3000', 'http://localhost:3000'],
  ['localhost:3000', 'http://localhost:3000'],
  ['[::1]:3000', 'http://[::1]:3000'],
  ['http://localhost:3000/', 'http://localhost:3000'],
  ['https://localhost:3443', 'https://localhost:3443'],
])('--to %s is %s', (to, origin) => {
  expect(devOptions({ ...given, to }).to).toBe(origin)
})

test.each(['', '99999', 'ftp://localhost:3000', 'ws://localhost:3000', 'http://', 'localhost:x'])(
  '--to "%s" is refused',
  (to) => {
    expect(() => devOptions({ ...given, to })).toThrow('--to: expected an address such as http://localhost:3000')
  },
)

// Paths stay what they are: an application below a path is at the same one behind Postern.
test.each(['http://localhost:3000/app', 'localhost:3000/?x=1', 'http://ann:secret@localhost:3000'])(
  '--to "%s" says more than an origin, and is refused',
  (to) => {
    expect(() => devOptions({ ...given, to })).toThrow('without a path')
  },
)
