from rawlib import *
F=mge_decode; fmt=json.load(open(os.environ["MGE_FORMAT_DIR"] + "/mge-format.json"))
M=fmt["enums"]["param.ElemwiseMode"]["values"]; MT=fmt["enums"]["param.ElemwiseMultiTypeMode"]["values"]
s=Raw(sys.argv[1])
A2=set("ABS_GRAD ADD FLOOR_DIV MAX MIN MOD MUL POW SIGMOID_GRAD SUB SWITCH_GT0 TANH_GRAD TRUE_DIV LOG_SUM_EXP LT LEQ EQ SHL SHR FUSE_ADD_RELU FUSE_ADD_SIGMOID FUSE_ADD_TANH FAST_TANH_GRAD RMULH ATAN2 H_SWISH_GRAD FUSE_ADD_H_SWISH AND OR XOR SILU_GRAD GELU_GRAD NEQ ASINH_GRAD ACOSH_GRAD ATANH_GRAD PRELU SOFTPLUS_GRAD RELU6_GRAD HSIGMOID_GRAD".split())
A3=set("COND_LEQ_MOV FUSE_MUL_ADD3 COND_LT_MOV CLIP PRELU_GRAD".split()); A4={"FUSE_MUL_ADD4"}
def ar(m): return 4 if m in A4 else 3 if m in A3 else 2 if m in A2 else 1
SP=np.array([0,-0.,1,-1,.5,-.5,1.5,2.5,-2.5,-1.5,3,-3,6,np.inf,-np.inf,np.nan,1e-30,-1e-30,88.5,-88.5,1e30,-1e30,1e-40],"f4")
SI={"int32":[0,1,-1,2,-2,7,-7,31,32,33,2**31-1,-2**31,100,-100],"int16":[0,1,-1,2,-2,7,-7,15,16,32767,-32768],"int8":[0,1,-1,2,-2,7,-7,8,9,127,-128],"uint8":[0,1,2,7,8,9,31,32,200,255],"bool":[0,1],"uint16":[0,1,2,7,40000,65535]}
for m in M:
    n=ar(m); P=[("param.Elemwise",{"mode":m})]
    # specials in all combinations
    for dt in ("float32","float16","BFloat16"):
        v=SP if dt!="float16" else SP.astype("f2").astype("f4")
        if n==1: a=[np.concatenate([v,rng(m).uniform(-4,4,40).astype("f4")])]
        elif n==2: a=[x.ravel() for x in np.meshgrid(v,v)]
        else: a=[rng(m+str(i)).choice(v,200) for i in range(n)]
        ins={"xyzw"[i]:a[i].astype("f4") for i in range(n)}
        if dt=="float32": s.simple("elemwise/%s_%s_special"%(m,dt),"Elemwise",ins,P)
        elif dt=="float16": s.simple("elemwise/%s_%s_special"%(m,dt),"Elemwise",{k:x.astype("f2") for k,x in ins.items()},P)
        else: s.simple("elemwise/%s_%s"%(m,dt),"Elemwise",ins,P,casts={k:dt for k in ins},out_cast="Float32",tol=dict(rtol=1e-2,atol=1e-2))
    for dt in ("int32","int16","int8","uint8","bool","uint16"):
        v=np.array(SI[dt]).astype(dt)
        if n==1: a=[v]
        elif n==2: a=[x.ravel() for x in np.meshgrid(v,v)]
        else: a=[rng(m+dt+str(i)).choice(v,60) for i in range(n)]
        if m in ("FLOOR_DIV","MOD","TRUE_DIV") :
            k=(a[1]!=0); 
            if dt=="int32": k&=~((a[0]==-2**31)&(a[1]==-1))
            a=[x[k] for x in a]
        s.simple("elemwise/%s_%s"%(m,dt),"Elemwise",{"xyzw"[i]:a[i] for i in range(n)},P)
    # random broadcast 
    r=rng("b"+m); sh=[(2,1,4,3),(1,5,1,3),(4,3),(1,)]
    s.simple("elemwise/%s_bcast"%m,"Elemwise",{"xyzw"[i]:r.uniform(-3,3,sh[i]).astype("f4") for i in range(n)},P)
    s.simple("elemwise/%s_bcast_f16"%m,"Elemwise",{"xyzw"[i]:r.uniform(-3,3,sh[i]).astype("f2") for i in range(n)},P)
    # quantized Elemwise
Q={"q8":("QuantizedS8",.03),"qu8":("Quantized8Asymm",.025,117),"q32":("QuantizedS32",.0013),"q8b":("QuantizedS8",.041),"qu8b":("Quantized8Asymm",.031,130),"q32b":("QuantizedS32",.002),"q16":("QuantizedS16",.0011),"q4":("QuantizedS4",.4),"qu4":("Quantized4Asymm",.4,7)}
def q_arity(m):
    p=m[1:]; return ar(p)
for m in MT:
    P=[("param.ElemwiseMultiType",{"mode":m})]
    r=rng("mt"+m)
    if m[0]=="Q":
        n=q_arity(m)
        for (tin,tout) in (("q8","q8b"),("qu8","qu8b"),("q32","q8"),("q8","q32"),("q32","q32b"),("qu8","q32"),("q32","qu8"),("q4","q4"),("qu4","qu4"),("q8","qu8")):
            ins={"xyzw"[i]:r.uniform(-3.8,3.8,[(3,17),(3,17),(1,17),(1,)][i]).astype("f4") for i in range(n)}
            casts={k:(Q[tin] if i==0 or tin not in("q8","qu8","q32") else Q[tin+"b"]) for i,k in enumerate(ins)}
            s.simple("elemwise_multitype/%s_%s_%s"%(m,tin,tout),"ElemwiseMultiType",ins,P,casts=casts,output_dtype=Q[tout],out_cast="Float32",tol=dict(rtol=0,atol=Q[tout][1]*1.01))
    else:
        T=dict(FUSE_MUL_ADD3_INT16x32x32x32=["i2","i4","i4"],FUSE_MUL_ADD3_IXxF32xF32xI8=[None,"f4","f4"],ROUND_SHR_SATURATE_IXxI8xI8=[None,"i1"],ROUND_SHR_SATURATE_IXxI8xI16=[None,"i1"],
          FUSE_ADD_RMULH_ROUND_SHR_SATURATE_INT16x16x16x8=["i2","i2","i2","i1","i1","i1"],FUSE_ADD_RMULH_ROUND_SHR_SATURATE_INT32x32x32x8=["i4","i4","i4","i1","i1","i1"],
          FUSE_MUL_ADD3_INT16xF32xF32xF32=["i2","f4","f4"],MUL_INT16xF32xF32=["i2","f4"],FUSE_MUL_ADD3_UINT8xF32xF32xF32=["u1","f4","f4"]).get(m)
        OD={"FUSE_MUL_ADD3_INT16x32x32x32":"Int32","FUSE_MUL_ADD3_IXxF32xF32xI8":"Int8","ROUND_SHR_SATURATE_IXxI8xI8":"Int8","ROUND_SHR_SATURATE_IXxI8xI16":"Int16"}.get(m,"Int8" if "RMULH" in m else "Float32" if T else "Bool")
        if T:
            for f in (["i1","i2","i4","u1"] if T[0] is None else [T[0]]):
                TT=[f]+T[1:]
                for bc in (0,1):
                    a=[]
                    for i,t in enumerate(TT):
                        sh=(4,30) if not bc or i==0 else (1,)
                        if t=="f4": x=r.uniform(-3,3,sh).astype(t)
                        elif "SHR" in m and i==(3 if "RMULH" in m else 1): x=r.randint(0,8,(1,)).astype(t)
                        elif "RMULH" in m and i==4: x=np.array([-100],t)
                        elif "RMULH" in m and i==5: x=np.array([101],t)
                        elif "RMULH" in m and i==2: x=r.randint(2**10 if t=="i2" else 2**25,2**14 if t=="i2" else 2**30,(1,)).astype(t)
                        else:
                            ii=np.iinfo(t); x=r.randint(ii.min,ii.max+1,sh).astype(t)
                            if m.startswith("FUSE_MUL_ADD3_INT16x32"): x=x//40000 if t=="i4" else x
                        a.append(x)
                    s.simple("elemwise_multitype/%s_%s_%d"%(m,f,bc),"ElemwiseMultiType",{"abcdef"[i]:x for i,x in enumerate(a)},P,output_dtype=OD)
        else:
            n=1 if m[:2]=="IS" else 2
            for dt in ("f4","f2","i4","i2","i1","u1","bool","u2"):
                v=SP.astype(dt) if dt[0]=="f" else np.array(SI[np.dtype(dt).name]).astype(dt)
                a=[v] if n==1 else [x.ravel() for x in np.meshgrid(v,v)]
                s.simple("elemwise_multitype/%s_%s"%(m,np.dtype(dt).name),"ElemwiseMultiType",{"xy"[i]:a[i] for i in range(n)},P,output_dtype="Bool")
            a=[r.randint(0,3,sh).astype("f4") for sh in ((2,1,3),(4,1))[:n]]
            s.simple("elemwise_multitype/%s_bcast"%m,"ElemwiseMultiType",{"xy"[i]:a[i] for i in range(n)},P,output_dtype="Bool")
            s.simple("elemwise_multitype/%s_q8"%m,"ElemwiseMultiType",{"xy"[i]:a[i] for i in range(n)},P,output_dtype="Bool",casts={"xy"[i]:Q["q8"] for i in range(n)})
s.write()
