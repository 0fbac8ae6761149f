/** A usual Node proxy: http-proxy's `web()` with a keep-alive agent and no authorization. */
import { Agent, createServer } from 'node:http'
import { createRequire } from 'node:module'
import type HttpProxy from 'http-proxy'

const require = createRequire(import.meta.url)
Reflect.set(require('node:util') as object, '_extend', Object.assign)
const { createProxyServer } = require('http-proxy') as Pick<typeof HttpProxy, 'createProxyServer'>

const [port, target = ''] = process.argv.slice(2)
const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }) })
proxy.on('error', (_error, _req, res) => res.destroy())
createServer((req, res) => proxy.web(req, res)).listen(Number(port), '127.0.0.1')
