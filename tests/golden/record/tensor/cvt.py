from rawlib import *
s=Raw(sys.argv[1])
SP=[0,-0.,.5,-.5,1.5,-1.5,2.5,126.5,127.5,128,128.5,-128.5,-129,254.5,255.5,256,300,-1,-300,32767.5,-32769,65535.5,70000,2147483647,2147483648,-2147483648,-3e9,3e9,1e20,-1e20,np.inf,-np.inf,np.nan,1e-30]
Q={"QuantizedS8":("QuantizedS8",.05),"Quantized8Asymm":("Quantized8Asymm",.05,100),"QuantizedS32":("QuantizedS32",.01),"QuantizedS16":("QuantizedS16",.01),"QuantizedS4":("QuantizedS4",.7),"Quantized4Asymm":("Quantized4Asymm",.7,6),"QuantizedS1":("QuantizedS1",1.5)}
Q2={"QuantizedS8":("QuantizedS8",.11),"Quantized8Asymm":("Quantized8Asymm",.031,30),"QuantizedS32":("QuantizedS32",.003),"QuantizedS16":("QuantizedS16",.03),"QuantizedS4":("QuantizedS4",.3),"Quantized4Asymm":("Quantized4Asymm",.45,9)}
names=["Float32","Float16","BFloat16","Int32","Int16","Int8","Uint8","Uint16","Bool","Byte"]+list(Q)
v=np.array(SP,"f4")
vq=np.concatenate([rng("q").uniform(-9,9,(40,)),np.arange(-8,8)*.05+.025,np.arange(-8,8)*.01+.005,[0,np.inf,-np.inf,1e9,-1e9]]).astype("f4")
vq=np.concatenate([vq,vq[:1]]) if vq.size%2 else vq
for a in names:
  for b in names:
    src=vq if (a in Q or b in Q) else v
    pre=Q.get(a,a); post=(Q2.get(b) or Q.get(b)) if a in Q else Q.get(b,b)
    if a=="Float32": casts={}
    else: casts=dict(x=pre)
    # ends in float32 so that every type can be read
    def build(m,vs,pre=pre,post=post,a=a,b=b):
        x=vs["x"]
        if a!="Float32": x,=m.op("TypeCvt",[x],[("DType",m.dtype(pre))])
        x,=m.op("TypeCvt",[x],[("DType",m.dtype(post))])
        if b!="Float32": x,=m.op("TypeCvt",[x],[("DType",m.dtype("Float32"))])
        return [x]
    tol=dict(rtol=0,atol=0) if b not in("Float32","Float16","BFloat16") else dict(rtol=1e-5,atol=1e-6)
    if a in("BFloat16","Float16") or b in ("BFloat16","Float16"): tol=dict(rtol=1e-3,atol=1e-6)
    s.case("typecvt/%s_to_%s"%(a,b),build,dict(x=src.reshape(2,-1)),tol=tol)
    s.case("typecvt/%s_to_%s_fin"%(a,b),build,dict(x=np.clip(np.nan_to_num(src),-127,127 if a!="Uint8" else 250).reshape(2,-1)),tol=tol)
    if a[0]!="Q":
        s.case("typecvt/%s_to_%s_pos"%(a,b),build,dict(x=rng(a+b).uniform(0,100,(3,5,2)).astype("f4")),tol=tol)
# direct typed inputs
for dt in ("int32","int16","int8","uint8","float16","uint16"):
    ii=np.iinfo(dt) if dt!="float16" else None
    x=rng(dt).randint(max(ii.min,-2**31),min(ii.max,2**31-1),(5,7)).astype(dt) if ii else rng(dt).uniform(-500,500,(5,7)).astype(dt)
    for b in names[:-1]:
        if b in Q and Q[b][0] in ("QuantizedS1",): continue
        def build(m,vs,b=b):
            y,=m.op("TypeCvt",[vs["x"]],[("DType",m.dtype(Q.get(b,b)))])
            return m.op("TypeCvt",[y],[("DType",m.dtype("Float32"))])
        s.case("typecvt/in_%s_%s"%(dt,b),build,dict(x=x))
# sizes: scalars, empty, 7 dims
for sh in ((1,),(0,),(2,0,3),(1,2,1,2,1,2,3),(100003,)):
    for b in ("Int8","Float16","QuantizedS8"):
        def build(m,vs,b=b):
            y,=m.op("TypeCvt",[vs["x"]],[("DType",m.dtype(Q.get(b,b)))])
            return m.op("TypeCvt",[y],[("DType",m.dtype("Float32"))])
        s.case("typecvt/shape_%s_%s"%("x".join(map(str,sh)),b),build,dict(x=rng("s").uniform(-50,50,sh).astype("f4")))
s.write()
