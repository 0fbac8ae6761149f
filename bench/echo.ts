/** Answers with the header lines that it received, so that the bench can check what reaches an application. */
import { createServer } from 'node:http'

const [port] = process.argv.slice(2)
createServer((req, res) => {
  res.setHeader('content-type', 'application/json')
  res.end(JSON.stringify(req.headers))
}).listen(Number(port), '127.0.0.1')
