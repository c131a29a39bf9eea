"""The dissector of ES10 and ESipa for Wireshark before 4.6, in Lua, made from the tables of bench.rsp.names.

A post-dissector: it takes what the frame holds (exported PDU of our traces, or GSMTAP of type SIM), joins blocks of
STORE DATA and parts of GET RESPONSE by interface and logical channel, names the function and its result, and shows the
TLVs. Wireshark 4.0's own dissectors stay as they are.
"""

from __future__ import annotations

from typing import Final

from bench.rsp import names

_FIRST, _LAST = 0xBF20, 0xBF7F
_MOST_CODES: Final = 128


def functions() -> dict[int, str]:
    """Return the functions by their outer tags."""
    found = {tag: names.function(tag) for tag in range(_FIRST, _LAST + 1)}
    return {tag: name for tag, name in found.items() if name is not None}


def results(tag: int) -> dict[int, dict[int, str]]:
    """Return, for the answers with an outer tag, the tags of result fields and the names of their codes."""
    found: dict[int, dict[int, str]] = {}
    for field, path in names.codes(tag).items():
        codes = {code: names.result(path, code) for code in range(_MOST_CODES)}
        found[field] = {code: name for code, name in codes.items() if name != str(code)}
    return {field: codes for field, codes in found.items() if codes}


def dissector() -> str:
    """Return the text of the Lua script."""
    lines = [f"  [0x{tag:X}] = {_quoted(name)}," for tag, name in sorted(functions().items())]
    told = []
    for tag in sorted(functions()):
        for field, codes in sorted(results(tag).items()):
            table = ", ".join(f"[{code}] = {_quoted(name)}" for code, name in sorted(codes.items()))
            told.append(f"  [{tag * 0x10000 + field}] = {{ {table} }},")
    psmos = [f"  [0x{tag:X}] = {_quoted(name)}," for tag, (name, _) in sorted(names.RESULTS.items())]
    psmo_codes = []
    for tag, (_, kind) in sorted(names.RESULTS.items()):
        found = {code: names.result(kind, code) for code in range(_MOST_CODES)} if kind else {}
        table = ", ".join(f"[{code}] = {_quoted(name)}" for code, name in found.items() if name != str(code))
        if table:
            psmo_codes.append(f"  [0x{tag:X}] = {{ {table} }},")
    return (
        _TEMPLATE.replace("@FUNCTIONS@", "\n".join(lines))
        .replace("@RESULTS@", "\n".join(told))
        .replace("@COMMANDS@", "\n".join(psmos))
        .replace("@CODES@", "\n".join(psmo_codes))
    )


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_TEMPLATE: Final = r"""-- ES10 (SGP.22, SGP.32) and ESipa for Wireshark 3.6 to 4.4. Made by: bench trace lua
-- Fields: esim_es10.function, esim_es10.kind (request, response), esim_es10.result, esim_es10.tag, esim_es10.length,
-- esim_es10.iccid, esim_es10.eid, esim_es10.tlv
-- Wireshark 4.6 and later decode ES10 themselves: remove this file there.

local functions = {
@FUNCTIONS@
}

-- outer tag * 65536 + tag of the field
local results = {
@RESULTS@
}

-- results of the commands of an eUICC package
local commands = {
@COMMANDS@
}

local codes = {
@CODES@
}

local es10 = Proto("esim_es10", "eSIM ES10 and ESipa")
local f_function = ProtoField.string("esim_es10.function", "Function")
local f_kind = ProtoField.string("esim_es10.kind", "Kind")
local f_result = ProtoField.string("esim_es10.result", "Result")
local f_tag = ProtoField.uint32("esim_es10.tag", "Tag", base.HEX)
local f_length = ProtoField.uint32("esim_es10.length", "Bytes")
local f_iccid = ProtoField.string("esim_es10.iccid", "ICCID")
local f_eid = ProtoField.string("esim_es10.eid", "EID")
local f_tlv = ProtoField.string("esim_es10.tlv", "TLV")
es10.fields = { f_function, f_kind, f_result, f_tag, f_length, f_iccid, f_eid, f_tlv }

local interface_name = Field.new("frame.interface_name")
local interface_id = Field.new("frame.interface_id")

local requests = {}   -- by interface and channel: bytes of STORE DATA so far
local answers = {}    -- by interface and channel: bytes of the answer so far
local channels = {}   -- by interface: channel of the last command
local awaited = {}    -- by interface: the last command was STORE DATA (or GET RESPONSE after it)
local frames = {}     -- by frame number: what was found, since frames are dissected more than once

function es10.init()
  requests, answers, channels, awaited, frames = {}, {}, {}, {}, {}
end

local function number(bytes, from, count)
  local value = 0
  for at = from, from + count - 1 do value = value * 256 + bytes:byte(at) end
  return value
end

-- Tag, first byte of the value and length of the TLV at a place; nil where there is none. One that is cut is told so.
local function header(bytes, at)
  if at > #bytes then return nil end
  local tag = bytes:byte(at)
  at = at + 1
  if tag % 32 == 31 then
    repeat
      if at > #bytes or tag > 0xFFFFFF then return nil end
      local octet = bytes:byte(at)
      tag = tag * 256 + octet
      at = at + 1
    until octet < 128
  end
  if at > #bytes then return nil end
  local length = bytes:byte(at)
  at = at + 1
  if length >= 128 then
    local count = length - 128
    if count < 1 or count > 3 or at + count - 1 > #bytes then return nil end
    length = number(bytes, at, count)
    at = at + count
  end
  return tag, at, length
end

local function constructed(tag)
  while tag > 255 do tag = math.floor(tag / 256) end
  return math.floor(tag / 32) % 2 == 1
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

local function swapped(bytes)
  local text = bytes:gsub(".", function(c)
    return string.format("%x%x", c:byte() % 16, math.floor(c:byte() / 16))
  end)
  return (text:gsub("f+$", ""))
end

-- Look at every TLV: into the tree when there is one, ICCIDs and EIDs into "found".
local function walk(bytes, tree, found, depth, limit)
  local at, count = 1, 0
  while at <= #bytes and count < limit do
    local tag, value, length = header(bytes, at)
    if not tag then return end
    count = count + 1
    local content = bytes:sub(value, value + length - 1)
    if tag == 0x5A and #content == 10 then found.iccid[#found.iccid + 1] = swapped(content) end
    if tag == 0x5A and #content == 16 then found.eid[#found.eid + 1] = hex(content) end
    local nested = constructed(tag) and depth > 0
    local shown = string.format("%X (%d)", tag, length)
    if not nested then
      local text = hex(content:sub(1, 40))
      if #content > 40 then text = text .. "..." end
      shown = shown .. " " .. text
    elseif functions[tag] then
      shown = shown .. " " .. functions[tag]
    end
    local branch = tree and tree:add(f_tlv, shown)
    if nested then walk(content, branch, found, depth - 1, limit) end
    at = value + length
  end
end

local function child(bytes, wanted)
  local at = 1
  while at <= #bytes do
    local tag, value, length = header(bytes, at)
    if not tag then return nil end
    if tag == wanted then return bytes:sub(value, value + length - 1) end
    at = value + length
  end
end

local function path(bytes, ...)
  for _, tag in ipairs({ ... }) do
    bytes = bytes and child(bytes, tag)
  end
  return bytes
end

-- The results of an eUICC package, or the named code in an answer.
local function result_of(tag, value)
  local told = {}
  if tag == 0xBF51 then
    local list = path(value, 0xA0, 0x30, 0x30) or path(value, 0x30, 0x30)
    local at = 1
    while list and at <= #list do
      local kind, from, length = header(list, at)
      if not kind then break end
      local text = commands[kind] or string.format("%X", kind)
      if codes[kind] and length >= 1 and length <= 4 then
        local code = number(list, from, math.min(length, #list - from + 1))
        text = text .. " " .. (codes[kind][code] or tostring(code)) .. (code == 0 and "" or "(" .. code .. ")")
      end
      told[#told + 1] = text
      at = from + length
    end
  end
  local at = 1
  while at <= #value do
    local field, from, length = header(value, at)
    if not field then break end
    local names = results[tag * 65536 + field]
    if names and length >= 1 and length <= 2 and from + length - 1 <= #value then
      local code = number(value, from, length)
      told[#told + 1] = (names[code] or tostring(code)) .. (code == 0 and "" or "(" .. code .. ")")
    end
    at = from + length
  end
  return table.concat(told, ", ")
end

local function finished(bytes, kind)
  local tag, value, length = header(bytes, 1)
  if not tag or not (functions[tag] or kind == "request") then return nil end
  local found = { tag = tag, kind = kind, name = functions[tag] or string.format("%X", tag), bytes = bytes,
                  iccid = {}, eid = {}, result = "" }
  local content = bytes:sub(value, value + length - 1)
  if kind == "response" then found.result = result_of(tag, content) end
  walk(bytes, nil, found, 16, 400)
  return found
end

local function channel_of(class)
  if math.floor(class / 64) % 2 == 1 then return 4 + class % 16 end
  return class % 4
end

local function command(key, apdu)
  if #apdu < 5 then awaited[key] = false return nil end
  local ins, p1, p2, lc = apdu:byte(2), apdu:byte(3), apdu:byte(4), apdu:byte(5)
  local place = key .. "/" .. channel_of(apdu:byte(1))
  channels[key] = place
  if ins == 0xC0 then return nil end
  answers[place] = nil
  awaited[key] = ins == 0xE2
  if ins ~= 0xE2 then return nil end
  if p2 == 0 then requests[place] = "" end
  requests[place] = (requests[place] or "") .. apdu:sub(6, 5 + lc)
  if p1 < 128 then return nil end
  local whole = requests[place]
  requests[place] = nil
  return finished(whole, "request")
end

local function response(key, apdu)
  local place = channels[key]
  if #apdu < 2 or not place or not awaited[key] then return nil end
  answers[place] = (answers[place] or "") .. apdu:sub(1, -3)
  if apdu:byte(-2) == 0x61 or #answers[place] == 0 then return nil end
  local whole = answers[place]
  answers[place] = nil
  return finished(whole, "response")
end

-- The PDU of an exported PDU, its direction (0 sent, 1 received), and the name of what is inside.
local function exported(bytes)
  local at, direction, name = 1, nil, ""
  while at + 3 <= #bytes do
    local tag, length = number(bytes, at, 2), number(bytes, at + 2, 2)
    at = at + 4
    if tag == 0 then return bytes:sub(at + length), direction, name end
    if tag == 12 or tag == 33 then name = name .. " " .. bytes:sub(at, at + length - 1) end
    if tag == 35 and length == 4 then direction = bytes:byte(at + 3) end
    at = at + length
  end
end

-- What GSMTAP of type SIM holds: a command, with its response behind it.
local function gsmtap(bytes)
  local start = bytes:find("\018\121", 1, true)
  while start do
    if start > 2 and bytes:sub(start + 6, start + 8) == "\002\004\004" then return bytes:sub(start + 22) end
    start = bytes:find("\018\121", start + 1, true)
  end
end

local function find(tvb)
  local bytes = tvb:raw()
  local id = interface_id()
  local key = id and tostring(id.value) or "0"
  local lane = interface_name()
  local kind = lane and tostring(lane.value):match("^[%w_]+") or ""
  local sim = gsmtap(bytes)
  if sim then
    local length = #sim >= 5 and sim:byte(5) or 0
    local case4 = sim:byte(2) == 0xE2 or sim:byte(2) == 0xA4
    local split = case4 and 5 + length or 5
    local asked = command(key, sim:sub(1, split))
    local told = response(key, sim:sub(split + 1))
    return told or asked
  end
  local pdu, direction, name = exported(bytes)
  if not pdu or not direction then return nil end
  if kind == "" then  -- the first of two passes may have no fields
    if name:find("gsm_sim", 1, true) or name:find("APDU", 1, true) then kind = "apdu" end
    if name:find("ESipa", 1, true) or name:find(" ber", 1, true) then kind = "esipa" end
  end
  if kind == "apdu" or kind == "sniff" then
    if direction == 0 then return command(key, pdu) end
    return response(key, pdu)
  elseif kind == "esipa" and pdu:sub(1, 1) ~= "{" then
    return finished(pdu, direction == 0 and "request" or "response")
  end
end

function es10.dissector(tvb, pinfo, tree)
  local found = frames[pinfo.number]
  if not pinfo.visited or found == nil then
    local fine, value = pcall(find, tvb)
    found = fine and value or false
    frames[pinfo.number] = found
  end
  if not found then return end
  local text = found.name .. (found.result ~= "" and ": " .. found.result or "")
  local branch = tree:add(es10, tvb(), "eSIM " .. found.kind .. " " .. text)
  branch:add(f_function, found.name)
  branch:add(f_kind, found.kind)
  branch:add(f_tag, found.tag)
  branch:add(f_length, #found.bytes)
  if found.result ~= "" then branch:add(f_result, found.result) end
  for _, iccid in ipairs(found.iccid) do branch:add(f_iccid, iccid) end
  for _, eid in ipairs(found.eid) do branch:add(f_eid, eid) end
  walk(found.bytes, branch, { iccid = {}, eid = {} }, 16, 400)
  pinfo.cols.info:append(" [" .. found.name .. "]")
end

register_postdissector(es10, true)
"""
