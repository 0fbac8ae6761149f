-- Asks Postern whether a request may pass: `http-request lua.postern URL`. Everything but 2xx is Postern's own answer to
-- the client: the redirect to the sign-in, a page, JSON for scripts. Without an answer nothing passes.

-- Of the connection and the body, not of the question.
local omitted = {
  ['connection'] = true, ['content-length'] = true, ['expect'] = true, ['keep-alive'] = true,
  ['te'] = true, ['trailer'] = true, ['transfer-encoding'] = true, ['upgrade'] = true,
}

-- HAProxy counts header values from 0.
local function values(list)
  local found = {}
  for i = 0, #list do
    if list[i] ~= nil then found[#found + 1] = list[i] end
  end
  return found
end

local function answer(txn, status, headers, body)
  local reply = txn:reply({ status = status })
  for name, list in pairs(headers) do
    if not omitted[name] then
      for _, value in ipairs(values(list)) do reply:add_header(name, value) end
    end
  end
  reply:set_body(body or '')
  txn:done(reply)
end

core.register_action('postern', { 'http-req' }, function(txn, url)
  local headers = {}
  for name, list in pairs(txn.http:req_get_headers()) do
    if not omitted[name] then headers[name] = values(list) end
  end
  headers['x-forwarded-method'] = { txn.sf:method() }
  headers['x-forwarded-uri'] = { txn.sf:pathq() }

  local client = core.httpclient()
  local response = client:get({ url = url, headers = headers, timeout = 30000 })
  local status = response and response.status or 0
  if status < 200 or status > 299 then
    if status == 0 then return answer(txn, 503, {}, '') end
    return answer(txn, status, response.headers, response.body)
  end
  for name, list in pairs(response.headers) do
    if string.sub(name, 1, 10) == 'x-postern-' then
      for _, value in ipairs(values(list)) do txn.http:req_set_header(name, value) end
    end
  end
end, 1)
