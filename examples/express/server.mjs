// npm install && npm start; in front of it: postern dev --to http://localhost:3000
import express from 'express'
import { posternIdentity, requireGroup } from './postern.mjs'

const {
  PORT = '3000',
  JWKS_URL = 'http://127.0.0.1:8080/.well-known/postern/jwks.json',
  AUDIENCE = 'app.localhost',
  ISSUER,
} = process.env

const app = express()
app.use(posternIdentity({ jwksUrl: JWKS_URL, audience: AUDIENCE, issuer: ISSUER }))
app.get('/', ({ identity: { sub, email, groups } }, response) => {
  response.json({ sub, email, groups })
})
app.get('/engineers', requireGroup('Engineering'), (_request, response) => {
  response.json({ welcome: true })
})
app.listen(Number(PORT), '127.0.0.1')
