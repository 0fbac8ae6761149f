import { expect, test } from 'vitest'
import { describeHosts } from '../../../cmd/postern/hosts.ts'
import type { HostRewrite, Route } from '../../../src/config/route-model.ts'
import { route } from '../upstream/support.ts'

const to = (name: string, host: HostRewrite): Route => route('http://up.test:8080', { name, rewrite: { host } })

test('the Host that applications see, by kind', () => {
  expect(describeHosts([to('a', { kind: 'client' })])).toEqual([
    'Host that applications see: the one that people ask for',
  ])
  const many = ['b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => to(name, { kind: 'client' }))
  expect(describeHosts([to('a', { kind: 'upstream' }), ...many])).toEqual([
    'Host that applications see:',
    "  the upstream's own           a",
    '  the one that people ask for  b, c, d, e, f and 2 more',
  ])
  expect(describeHosts([])).toEqual([])
})
